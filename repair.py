"""Put the masks of a capture right: `python repair.py dataset.root=FOLDER`; `--help` lists all keys."""

from launcher.repair import main

if __name__ == "__main__":
    main()
