"""The words a user types: ``gmr rank``, ``gmr train``, ``gmr evaluate``, ``gmr demo``, ``gmr info``."""
