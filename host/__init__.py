"""The user's side: serial bridge, client, reconstruction, service, web page and command line."""
