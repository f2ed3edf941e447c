"""`breeder accelerate`: where a user's training script spends its time, and what kernels gain."""
