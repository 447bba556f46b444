"""An app that writes down every bell its worker hears, a line of JSON each: EXTRA_APPS=tests.fakes.bells

BELLS_RECORD names the file. The ledger's sweeper does the work whether or not a bell came; this tells them apart.
"""
