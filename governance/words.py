"""What the figures of an evaluation are called, at every door."""

FIGURES = {
    "auprc": "AUPRC",
    "roc_auc": "ROC-AUC",
    "f1": "F1 as it stands",
    "best_f1": "F1 at its best (optimistic)",
    "precision": "precision",
    "recall": "recall",
    "false_positive_rate": "false positives",
    "recall_at_1_percent_fpr": "recall at 1 % false positives",
    "recall_at_5_percent_fpr": "recall at 5 % false positives",
    "expected_calibration_error": "calibration error",
}
