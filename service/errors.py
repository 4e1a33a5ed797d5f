"""Every error that a caller can cause or must hear of, with the HTTP status that it becomes.

PanoptesError
├── RequestError                  400  the request itself is wrong
│   ├── BadImageError             400  not an image, broken or truncated
│   ├── UnauthorizedError         401  no key, or one that is not known
│   ├── ForbiddenError            403  a key that may not do this
│   ├── NotFoundError             404  no such model, version or route
│   ├── NotAcceptableError        406  no answer in a form that `Accept` allows
│   ├── PayloadTooLargeError      413  too many bytes, or too many images
│   │   └── ImageTooLargeError    413  too many pixels
│   ├── UnsupportedMediaError     415  a body in a form that is not spoken here
│   │   └── UnsupportedImageError 415  an image format that is not read here
│   └── InvalidOptionError        422  a parameter out of its range
├── BusyError                     429  no room, or no time, for this job: come back later
├── ClientGoneError               499  the client hung up; nobody reads this answer
├── UnavailableError              503  not ready, draining, or its device died
├── DeadlineError                 504  the deadline passed while the job waited or ran
└── ModelRunError                 500  the model failed on this input
"""

from __future__ import annotations

from typing import ClassVar


class PanoptesError(Exception):
    """The base: `detail` is shown to the caller, so it names no file and no internals."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class RequestError(PanoptesError):
    status = 400
    title = "Bad request"


class BadImageError(RequestError):
    title = "Not a readable image"


class UnauthorizedError(RequestError):
    status = 401
    title = "No valid key"


class ForbiddenError(RequestError):
    status = 403
    title = "Not allowed"


class NotFoundError(RequestError):
    status = 404
    title = "Not found"


class NotAcceptableError(RequestError):
    status = 406
    title = "No answer in an accepted form"


class PayloadTooLargeError(RequestError):
    status = 413
    title = "Request too large"


class ImageTooLargeError(PayloadTooLargeError):
    title = "Image too large"


class UnsupportedMediaError(RequestError):
    status = 415
    title = "Unsupported media type"


class UnsupportedImageError(UnsupportedMediaError):
    title = "Unsupported image format"


class InvalidOptionError(RequestError):
    status = 422
    title = "Invalid option"


class BusyError(PanoptesError):
    """`retry_after_s` is when the same request would have had a chance."""

    status = 429
    title = "Too busy"

    def __init__(self, detail: str, *, retry_after_s: float) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class QueueFullError(BusyError):
    title = "Queue full"


class ClientGoneError(PanoptesError):
    status = 499
    title = "Client closed the request"


class UnavailableError(PanoptesError):
    status = 503
    title = "Not available"


class DeadlineError(PanoptesError):
    status = 504
    title = "Deadline passed"


class ModelRunError(PanoptesError):
    status = 500
    title = "The model failed on this input"
