"""Train one scene: `python train.py --help`. Many: `python train.py -m corruption.level=0,0.12 seed=0,1`."""

from launcher.train import main

if __name__ == "__main__":
    main()
