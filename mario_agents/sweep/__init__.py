"""``mario-agents sweep``: search for better options of a trainer, by Optuna.

A trial is a training run in processes of its own, of the same kind as those of a bench. Optuna
chooses its options and says whether it is worth going on with; it keeps all trials in a file in the
sweep's folder, which several commands may share.
"""
