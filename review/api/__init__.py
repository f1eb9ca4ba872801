"""The REST door of reviewing: everything that the console does, by the same services and so by the same rights."""

from review.api.actions import BulkResource, PreferencesResource, ViewResource
from review.api.claims import ClaimResource, DraftResource
from review.api.exports import ExportResource, RunExportResource
from review.api.figures import AgreementResource, MachineResource, ReportResource
from review.api.queues import DisagreementResource, KnownResource, QueueResource
from review.api.reviews import AdjudicationResource, ResultReviewResource, ReviewResource

# Where each resource hangs, and its name.
ROUTES = (
    ("queues", QueueResource, "queue"),
    ("queues/<int:queue>/known-answers", KnownResource, "known-answer"),
    ("queues/<int:queue>/disagreements", DisagreementResource, "disagreement"),
    ("claims", ClaimResource, "claim"),
    ("drafts", DraftResource, "draft"),
    ("results/<int:result>/reviews", ResultReviewResource, "result-review"),
    ("reviews", ReviewResource, "review"),
    ("adjudications", AdjudicationResource, "adjudication"),
    ("agreement", AgreementResource, "agreement"),
    ("machine", MachineResource, "machine"),
    ("reports", ReportResource, "report"),
    ("runs/<int:run>/export", RunExportResource, "run-export"),
    ("exports", ExportResource, "export"),
    ("bulk-actions", BulkResource, "bulk-action"),
    ("saved-views", ViewResource, "saved-view"),
    ("preferences", PreferencesResource, "preferences"),
)
