"""Pure pictures: rows of styled text with hit regions, for the screen and the command line alike."""
