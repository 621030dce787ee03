"""How frames are fetched, one way of connecting a file; each hears for the lanes of its source until cancelled."""
