"""Where runs are computed: Hydra's side of studies, and clusters."""
