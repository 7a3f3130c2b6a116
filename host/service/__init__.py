"""The web service: REST and a preview socket over one live session, and the page's files."""
