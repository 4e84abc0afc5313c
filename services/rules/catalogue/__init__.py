"""The rules as data: TOML files, one a hazard, with the county's tables beside them; read and checked whole.

`load` gives a folder's texts, `read_catalogue` makes rules of them or tells every fault; `reaches` and `parameter` say
what holds at a station.
"""

from services.rules.catalogue.folder import load
from services.rules.catalogue.model import Catalogue
from services.rules.catalogue.read import read_catalogue
from services.rules.catalogue.resolve import Reach, parameter, reaches

__all__ = ["Catalogue", "Reach", "load", "parameter", "reaches", "read_catalogue"]
