"""The WSGI application for servers that import it, such as Apache's mod_wsgi. Settings come from the process's environment."""

import os

from forecastle.http import create_app
from forecastle.settings import settings_from

application = create_app(settings_from(os.environ))
