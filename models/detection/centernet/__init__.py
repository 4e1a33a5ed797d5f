"""CenterNet (Zhou et al. 2019): objects as points; local maxima stand in for suppression."""
