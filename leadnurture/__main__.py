"""`python -m leadnurture` is `leadnurture`."""

from leadnurture.cli import main

if __name__ == "__main__":
    main()
