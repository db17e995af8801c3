"""One program running: started, followed, ended with all that it started."""
