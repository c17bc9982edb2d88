"""`python -m gateway` is `textbank`."""

from gateway.cli import main

if __name__ == "__main__":
    main()
