"""The same decisions on virtual time: from a journal, or in a world that is made up. Floor 2, offline; never imports ``edge``."""
