"""leadnurture: nurture programs as files, moved as sets, explained row by row."""
