"""Bridges to other software, one file each; its packages are imported only when it is used."""
