"""The demo's further sources: the faces that the retailer's real households show on the web, on cards and in tickets.

The retail data has no names and no web traffic. From its households and a seed this room derives, once, files and a
database as other systems would deliver them, and beside them the truth: which record is which person. The platform
then reads them like anybody's files (`ingest/files.py`, `ingest/sqlite.py`). All addresses end in example.com, all
numbers lie in the range 555-0100 to 555-0199.
"""

from cdp_platform.ingest.faces.making import Faces, make_faces

__all__ = ["Faces", "make_faces"]
