"""Times have one text form, and the forecast's read is one search of an index."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
import sqlalchemy as sa

from forecastle_registry.aliases import LIVE
from forecastle_registry.engine import reading, writing
from forecastle_registry.tables import metadata, models, time_text


def test_a_time_is_stored_in_utc_with_six_digits():
    vienna = datetime(2026, 11, 23, 6, 15, 47, tzinfo=timezone(timedelta(hours=1)))
    assert time_text(vienna) == "2026-11-23T05:15:47.000000Z"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="no zone"):
        time_text(datetime(2026, 11, 23))


def test_a_time_comes_back_as_it_went_in(engine):
    when = datetime(2026, 11, 23, 5, 15, 47, 123456, tzinfo=UTC)
    with writing(engine) as connection:
        connection.execute(models.insert(), {"name": "m", "plugin": "naive", "created_at": when})
        assert connection.exec_driver_sql("SELECT created_at FROM models").scalar() == "2026-11-23T05:15:47.123456Z"
        assert connection.execute(sa.select(models.c.created_at)).scalar() == when


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_the_read_of_every_forecast_scans_and_sorts_nothing(engine):
    sql = str(LIVE.compile(dialect=engine.dialect))
    with reading(engine) as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", ("m", "production", 0))]
    assert all(step.startswith("SEARCH") for step in plan), plan
    assert len(plan) == 2


@pytest.mark.parametrize("url", ["postgres"], indirect=True)
def test_the_read_of_every_forecast_goes_by_indexes_in_postgres_too(engine):
    sql = LIVE.compile(dialect=engine.dialect)
    with reading(engine) as connection:
        connection.exec_driver_sql("SET enable_seqscan = off")  # which it prefers while the tables are empty
        plan = connection.exec_driver_sql(f"EXPLAIN {sql}", sql.params | {"model": "m", "alias": "production"}).scalars().all()
    text = "\n".join(plan)
    assert "pk_alias_stack" in text
    assert "pk_versions" in text
    assert "Seq Scan" not in text
    assert "Sort" not in text


def test_every_constraint_has_a_name_by_which_a_migration_can_drop_it():
    constraints = [constraint for table in metadata.tables.values() for constraint in table.constraints]
    assert all(constraint.name for constraint in constraints)
