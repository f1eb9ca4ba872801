"""What figures and gates are called, at every door."""

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

# Of two classifiers side by side (fairness.gates).
BESIDE = {
    "recall_at_same_fpr": "recall at the false positives that there are now",
    "recall": "recall",
    "false_positive_rate": "false positives",
    "informedness": "recall less false positives",
    "auprc": "AUPRC",
    "roc_auc": "ROC-AUC",
}
GATES = {
    "texts": "Enough texts",
    "unseen": "Texts that it never saw",
    "judges": "It judges what was judged",
    "recall": "It finds as much",
    "labels": "It is as right as it stands",
    "groups": "It treats groups no less alike",
}
