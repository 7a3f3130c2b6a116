"""The web service: REST and the preview socket of one live session, and the files of the page."""
