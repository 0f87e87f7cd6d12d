"""Future exogenous values as a file: every form that Excel writes, and each thing that can be wrong with one."""

import gc
import importlib.util
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import flask
import openpyxl
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from forecastle.settings import Settings
from forecastle_registry.versions import Registered
from tests.naive import EXOG_OF_THREE, NEXT_MONTHS, monthly_sales, numbered_rows
from tests.problems import problem_of, words_of
from tests.requirements import require

ADDRESS = "/models/sales/forecast/file"
PLAIN = b"timestamp,price,promo\n2018-01-01,9.5,0\n2018-02-01,9.0,1\n2018-03-01,9.25,0\n"
pytestmark = pytest.mark.usefixtures("registered_model")


def upload(client: FlaskClient, content: bytes, address: str = ADDRESS, name: str = "exog.csv", **fields: str) -> TestResponse:
    # encoded here, because the test client would keep a large body in a temporary file that nobody closes
    boundary, body = encode_multipart({**fields, "file": FileStorage(io.BytesIO(content), name)})
    return client.post(address, data=body, content_type=f"multipart/form-data; boundary={boundary}")


def workbook(*rows: tuple[object, ...], at: int = 1) -> bytes:
    """Return an .xlsx whose first sheet has these rows, the first of them in row `at`."""
    book = openpyxl.Workbook()
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            book.active.cell(at + i, j + 1, cell)
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def sheet_of(xml: str) -> bytes:
    """Return an .xlsx whose only sheet is this XML, as no library would write it."""
    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(workbook(("price",)))) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.namelist():
            content = source.read(member) if member != "xl/worksheets/sheet1.xml" else xml.encode()
            target.writestr(member, content)
    return made.getvalue()


SHEET = '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">{}</worksheet>'


def test_a_file_answers_as_the_same_numbers_in_json_do(client: FlaskClient) -> None:
    answer = upload(client, PLAIN, levels="80,95")
    asked = {"horizon": 3, "exog": EXOG_OF_THREE, "levels": [80, 95]}
    assert answer.get_json() == client.post("/models/sales/forecast", json=asked).get_json()
    assert answer.get_json()["timestamps"] == NEXT_MONTHS


FORMS = {
    "no time column": b"price,promo\n9.5,0\n9.0,1\n9.25,0\n",
    "columns in another order": b"promo,price\n0,9.5\n1,9.0\n0,9.25\n",
    "a byte-order mark": b"\xef\xbb\xbf" + PLAIN,
    "semicolons": PLAIN.replace(b",", b";"),
    "semicolons and decimal commas": PLAIN.replace(b",", b";").replace(b".", b","),
    "tabs": PLAIN.replace(b",", b"\t"),
    "tabs and decimal commas": PLAIN.replace(b",", b"\t").replace(b".", b","),
    "UTF-16, as Excel's Unicode text": PLAIN.replace(b",", b"\t").decode().encode("utf-16"),
    "Windows' line ends": PLAIN.replace(b"\n", b"\r\n"),
    "an old Mac's line ends": PLAIN.replace(b"\n", b"\r"),
    "no last line end": PLAIN.rstrip(b"\n"),
    "empty lines below": PLAIN + b"\n,,\n\n",
    "quotes": b'"timestamp","price","promo"\n"2018-01-01","9.5","0"\n"2018-02-01","9.0","1"\n"2018-03-01","9.25","0"\n',
    "spaces": b"timestamp , price,promo\n2018-01-01, 9.5, 0\n2018-02-01,9.0 ,1\n2018-03-01,9.25,0 \n",
    "exponents and signs": b"price,promo\n+95e-1,-0\n9.,1\n.925E1,0\n",
    "another name for the time": PLAIN.replace(b"timestamp", b"Month"),
    "an index without a name": PLAIN.replace(b"timestamp", b""),
    "times as months": PLAIN.replace(b"-01,", b",", 3),
    "times with slashes": PLAIN.replace(b"2018-01-01", b"2018/1/1"),
    "times as Germans write them": PLAIN.replace(b"2018-01-01", b"1.1.2018"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_a_spreadsheet_writes_is_read(client: FlaskClient, form: str) -> None:
    answer = upload(client, FORMS[form])
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["timestamps"] == NEXT_MONTHS
    assert upload(client, FORMS[form].replace(b"9", b"x")).status_code == 422  # the numbers are looked at


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8", "preis_€"), ("utf-8-sig", "naïve"), ("cp1252", "prix_é€"), ("cp932", "価格")]
)
def test_names_in_every_encoding_that_excel_writes_are_found(
    client: FlaskClient, train: Callable[..., Registered], encoding: str, name: str
) -> None:
    train("abroad", monthly_sales(exog=(name,)))
    answer = upload(client, f"{name}\n9.5\n9.25\n".encode(encoding), "/models/abroad/forecast/file")
    assert answer.status_code == 200, answer.text
    assert answer.get_json()["conditional_on"] == [name]


def test_a_workbook_is_read(client: FlaskClient) -> None:
    rows = [("timestamp", "price", "promo")]
    rows += [
        (datetime.fromisoformat(stamp), *cells) for stamp, *cells in zip(NEXT_MONTHS, *EXOG_OF_THREE.values(), strict=True)
    ]
    plain = upload(client, PLAIN).get_json()
    assert upload(client, workbook(*rows), name="exog.xlsx").get_json() == plain
    assert upload(client, workbook(*rows, at=3)).get_json() == plain  # empty rows above
    assert upload(client, workbook(*rows, (None, " ", None))).get_json() == plain  # and below
    assert upload(client, workbook(*((str(c) for c in row) for row in rows))).get_json() == plain  # everything as text


def test_a_wrong_cell_of_a_workbook_is_named_by_the_row_that_a_person_sees(client: FlaskClient) -> None:
    content = workbook(("price", "promo"), (9.5, 0), ("cheap", 1), (9.25, 0), at=4)
    document = problem_of(upload(client, content), 422, "cell-not-a-number")
    assert "'cheap' in row 6" in words_of(document)
    content = workbook(("price", "promo"), (9.5, 0), (None, None), (9.25, 0))
    assert "nothing in row 3" in words_of(problem_of(upload(client, content), 422, "cell-not-a-number"))


def test_a_workbook_that_lies_about_its_size_is_read_by_what_is_in_it(client: FlaskClient) -> None:
    names = '<c r="A1" t="inlineStr"><is><t>price</t></is></c><c r="B1" t="inlineStr"><is><t>promo</t></is></c>'
    rows = f'<row r="1">{names}</row><row r="2"><c r="A2"><v>9.5</v></c><c r="B2"><v>1</v></c></row>'
    for size in ("A1:A1", "A1:XFD1048576"):
        content = sheet_of(SHEET.format(f'<dimension ref="{size}"/><sheetData>{rows}</sheetData>'))
        assert upload(client, content).get_json()["timestamps"] == NEXT_MONTHS[:1]


def test_a_workbook_with_a_number_beyond_every_float_is_refused(client: FlaskClient) -> None:
    cells = '<row r="1"><c r="A1" t="inlineStr"><is><t>price</t></is></c></row>'
    content = sheet_of(SHEET.format(f'<sheetData>{cells}<row r="2"><c r="A2"><v>{"9" * 400}</v></c></row></sheetData>'))
    problem_of(upload(client, content), 422, "cell-not-a-number")


def test_a_workbook_that_unpacks_to_too_much_is_refused(client: FlaskClient) -> None:
    content = sheet_of(SHEET.format("<sheetData/>") + " " * 100_000_000)
    assert len(content) < 1_000_000
    document = problem_of(upload(client, content), 422, "file-unreadable")
    assert "unpacks to" in document["detail"]


def test_a_parquet_file_is_read_where_that_is_installed(client: FlaskClient) -> None:
    require(importlib.util.find_spec("pyarrow"), "the extra forecastle-platform[parquet] is not installed")
    import pyarrow
    from pyarrow import parquet

    content = io.BytesIO()
    parquet.write_table(pyarrow.table({"timestamp": NEXT_MONTHS, **EXOG_OF_THREE}), content)
    assert upload(client, content.getvalue()).get_json() == upload(client, PLAIN).get_json()


def test_a_parquet_file_is_refused_with_a_remedy_where_that_is_not_installed(client: FlaskClient) -> None:
    if importlib.util.find_spec("pyarrow"):
        problem_of(upload(client, b"PAR1" + bytes(100) + b"PAR1"), 422, "file-unreadable")
    else:
        document = problem_of(upload(client, b"PAR1" + bytes(100) + b"PAR1"), 422, "parquet-not-installed")
        assert "[parquet]" in document["detail"]


UNREADABLE: list[tuple[bytes, str, list[str]]] = [
    (b"", "file-empty", ["header"]),
    (b" \r\n\t\n", "file-empty", ["header"]),
    (b"\xef\xbb\xbf", "file-empty", []),
    (b"\xff\xfe", "file-empty", []),
    (b",", "file-empty", []),
    (b";;\n;;\n", "file-empty", []),
    (b'""\n""', "file-empty", []),
    (b"\0" * 50, "file-empty", []),
    (b"timestamp,price,promo\n", "file-without-rows", ["rows"]),
    (b"9.5,0\n9.0,1\n", "header-missing", ["numbers", "names"]),
    (b"2018-01-01,9.5,0\n2018-02-01,9.0,1\n", "header-missing", ["names"]),
    (b"2018-01-01;9,5;0\n2018-02-01;9,0;1\n", "header-missing", ["names"]),
    (b"price,promo,price\n9,0,9\n", "column-doubled", ["'price'"]),
    (b"price,,promo,\n9,1,0,1\n", "column-doubled", ["no name"]),
    (b"price,promo\n9\n", "row-of-another-length", ["row 2", "1 cells", "2"]),
    (b"price,promo\n9,0\n9,0,1\n", "row-of-another-length", ["row 3", "3 cells"]),
    (b"price,promo\n9,0\n\n9,0\n", "row-of-another-length", ["row 3"]),
    (b'price,promo\n"9,0\n', "file-unreadable", ["CSV"]),
    (b'price,promo\n"9"x,0\n', "file-unreadable", ["CSV"]),
    (b"price,promo\n" + b"9" * 200_000 + b",0\n", "file-unreadable", ["CSV"]),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "file-binary", ["binary", ".xlsx"]),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1\0\0", "file-binary", [".xlsx"]),  # an .xls of before 2007
    (b"\xff\xfeodd", "file-binary", ["utf-16"]),
    (b"PK\x03\x04 and no workbook", "file-unreadable", [".xlsx"]),
    (b"price,promo\n9,zero\n", "cell-not-a-number", ["/promo/0", "'promo'", "'zero'", "row 2", "number"]),
    (b"price,promo\n9,0\nnan,0\n", "cell-not-a-number", ["/price/1", "'nan'", "row 3"]),
    (b"price,promo\n9,0\n9,inf\n", "cell-not-a-number", ["/promo/1", "'inf'", "row 3"]),
    (b"price,promo\n1e999,0\n", "cell-not-a-number", ["/price/0", "'1e999'", "row 2"]),
    (b"price,promo\n9,0\n,0\n", "cell-not-a-number", ["/price/1", "nothing", "row 3"]),
    (b"price,promo\n1_0,0\n", "cell-not-a-number", ["'1_0'"]),
    (b"price,promo\nTRUE,0\n", "cell-not-a-number", ["'TRUE'"]),
    (b"price\n9\n", "exog-missing", ["promo", "absent"]),
    (b"price,promo,weather\n9,0,1\n", "exog-unknown", ["/file/weather"]),
    (b"price,promo,a/b\n9,0,1\n", "exog-unknown", ["/file/a~1b"]),
    (b"price,promo,sales\n9,0,1\n", "exog-unknown", ["/file/sales"]),
    (PLAIN.replace(b"2018-02", b"2018-04"), "times-do-not-match", ["'timestamp'", "row 3", "2018-04-01", "2018-02-01"]),
    (PLAIN.replace(b"2018-01-01", b"yesterday"), "times-do-not-match", ["row 2", "yesterday", "2018-01-01"]),
    (PLAIN.replace(b"2018-01-01", b""), "times-do-not-match", ["row 2", "2018-01-01"]),
    (b"price,promo\n" + b"9,0\n" * 1001, "horizon-too-large", ["1001", "1000"]),
]


def test_each_unreadable_file_is_told_what_is_wrong_and_where(client: FlaskClient) -> None:
    for content, code, words in UNREADABLE:
        answer = upload(client, content)
        assert answer.status_code == 422, f"{content[:80]!r}: {answer.text}"
        document = problem_of(answer, 422, code)
        missing = [word for word in words if word not in words_of(document)]
        assert not missing, f"{content[:80]!r}: {words_of(document)!r} lacks {missing}"


def test_a_file_of_very_many_columns_is_refused_quickly_and_briefly(client: FlaskClient) -> None:
    names = ",".join(f"c{i}" for i in range(100_000))
    for content in (f"{names}\n", f"{names},c0\n", f"{names}\n{','.join(['1'] * 100_000)}\n"):
        answer = upload(client, content.encode())
        assert answer.status_code == 422
        assert len(answer.data) < 10_000


def test_the_horizon_of_a_form_must_fit_the_rows(client: FlaskClient) -> None:
    assert upload(client, PLAIN, horizon="3").status_code == 200
    assert upload(client, PLAIN, horizon="", levels="").status_code == 200  # as Swagger UI sends what was left empty
    problem_of(upload(client, PLAIN, horizon="4"), 422, "exog-too-short")
    problem_of(upload(client, PLAIN, horizon="2"), 422, "exog-too-long")
    problem_of(upload(client, PLAIN, horizon="0"), 422, "horizon-too-small")
    problem_of(upload(client, PLAIN, horizon="1001"), 422, "horizon-too-large")
    problem_of(upload(client, PLAIN, horizon="three"), 422, "request-invalid")
    problem_of(upload(client, PLAIN, levels="0"), 422, "levels-invalid")
    problem_of(upload(client, PLAIN, levels="high"), 422, "request-invalid")


def test_a_form_with_other_fields_than_expected_is_refused(client: FlaskClient) -> None:
    problem_of(client.post(ADDRESS, data={"horizon": "3"}, content_type="multipart/form-data"), 422, "file-missing")
    problem_of(client.post(ADDRESS, data={"file": "price,promo"}, content_type="multipart/form-data"), 422, "file-missing")
    problem_of(upload(client, PLAIN, alias="production"), 422, "request-invalid")
    twice = [(io.BytesIO(PLAIN), "a.csv"), (io.BytesIO(PLAIN), "b.csv")]
    problem_of(client.post(ADDRESS, data={"file": twice}), 422, "parameter-doubled")
    two = {"file": (io.BytesIO(PLAIN), "a.csv"), "data": (io.BytesIO(PLAIN), "b.csv")}
    problem_of(client.post(ADDRESS, data=two), 422, "request-invalid")


def test_another_content_type_than_a_form_with_files_is_415(client: FlaskClient) -> None:
    for content_type in ("text/csv", "application/json", "application/octet-stream", "application/x-www-form-urlencoded", ""):
        document = problem_of(client.post(ADDRESS, data=PLAIN, content_type=content_type), 415, "content-type-wrong")
        assert "multipart/form-data" in document["detail"]


@pytest.mark.filterwarnings("ignore:Unclosed file:ResourceWarning")  # werkzeug leaves the file of a broken form to Python
def test_a_form_that_is_broken_is_refused(client: FlaskClient) -> None:
    for content_type in ("multipart/form-data", "multipart/form-data; boundary=x", 'multipart/form-data; boundary="'):
        for body in (
            b"",
            b"--x",
            b"--x\r\n\r\n",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\nprice',
        ):
            answer = client.post(ADDRESS, data=body, content_type=content_type)
            assert answer.status_code in (400, 422), answer.text
            assert answer.content_type == "application/problem+json"
    gc.collect()


def test_an_upload_above_the_cap_is_413(serve: Callable[..., flask.Flask], settings: Settings) -> None:
    client = serve(replace(settings, max_upload=500)).test_client()
    assert upload(client, PLAIN).status_code == 200
    document = problem_of(upload(client, PLAIN + b"2018-04-01,9,0\n" * 50), 413, "body-too-large")
    assert "500 bytes" in document["detail"]


def test_a_long_field_beside_the_file_and_a_thousand_short_ones_are_413_too(client: FlaskClient) -> None:
    fields = {f"field-{number}": "" for number in range(1001)}
    for answer in (upload(client, PLAIN, levels="9" * 600_000), upload(client, PLAIN, **fields)):
        assert "fields" in problem_of(answer, 413, "body-too-large")["detail"]


def test_the_template_filled_in_is_a_file_that_answers(client: FlaskClient) -> None:
    template = client.get("/models/sales/exog-template?horizon=3")
    assert template.mimetype == "text/csv"
    assert template.text == "timestamp,price,promo\n2018-01-01,,\n2018-02-01,,\n2018-03-01,,\n"
    assert "attachment" in template.headers["Content-Disposition"]
    assert upload(client, template.data.replace(b",,", b",9,0")).get_json()["timestamps"] == NEXT_MONTHS
    problem_of(upload(client, template.data), 422, "cell-not-a-number")
    assert len(client.get("/models/sales/exog-template").text.splitlines()) == 13


def test_a_model_without_exog_forecasts_as_many_steps_as_its_file_has_rows(
    client: FlaskClient, train: Callable[..., Registered]
) -> None:
    train("plain", monthly_sales(exog=()))
    template = client.get("/models/plain/exog-template?horizon=3").data
    assert upload(client, template, "/models/plain/forecast/file").get_json()["timestamps"] == NEXT_MONTHS
    problem_of(upload(client, PLAIN, "/models/plain/forecast/file"), 422, "exog-unknown")


def test_an_integer_index_is_matched_as_a_time_is(client: FlaskClient, train: Callable[..., Registered]) -> None:
    train("counted", numbered_rows(exog=("x",)))
    address = "/models/counted/forecast/file"
    assert upload(client, b"index,x\n20,1\n21,2\n", address).get_json()["timestamps"] == [20, 21]
    assert upload(client, workbook(("index", "x"), (20, 1), (21, 2)), address).get_json()["timestamps"] == [20, 21]
    problem_of(upload(client, b"index,x\n0,1\n1,2\n", address), 422, "times-do-not-match")


def test_a_file_can_be_answered_as_csv(client: FlaskClient) -> None:
    answer = client.post(ADDRESS, data={"file": (io.BytesIO(PLAIN), "exog.csv")}, headers={"Accept": "text/csv"})
    assert answer.mimetype == "text/csv"
    assert answer.text.startswith("timestamp,sales__yhat,sales__yhat_lower,sales__yhat_upper,returns__yhat")
