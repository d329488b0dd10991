// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI

/// What goes wrong on purpose, before a request is looked at.
extension Responder {
    /// The refusal that is planned for a request; `nil` where none is.
    func plannedRefusal(_ exchange: Exchange) -> Refusal? {
        faults.take(exchange) { effect in
            switch effect {
            case .status(let code, let seconds): statusFault(code, seconds)
            case .noChunks(let code) where exchange.method == .patch:
                Refusal(.init(code: code), .unsupported, "chunks are not taken here")
            case .forgottenUpload where exchange.path.contains("/blobs/uploads/") && exchange.method != .post:
                Refusal(.notFound, .uploadUnknown, "there is no such upload here: start another")
            case .tooLarge(let limit) where (exchange.body.length ?? 0) > limit:
                Refusal(.contentTooLarge, .sizeInvalid, "the body has more than \(limit) bytes")
            default: nil
            }
        }
    }

    /// After how many bytes of its body a request is cut; `nil` where it is not.
    func plannedCut(_ exchange: Exchange) -> Int64? {
        guard exchange.body.length != 0 else { return nil }
        return faults.take(exchange) { effect in
            if case .cutUpload(let bytes) = effect { bytes } else { nil }
        }
    }

    /// How many bytes of its body a second are taken of a request; `nil` where it is as fast as can be.
    func plannedSpeed(_ exchange: Exchange) -> Int? {
        guard exchange.body.length != 0 else { return nil }
        return faults.take(exchange) { effect in
            if case .slowUpload(let rate) = effect { rate } else { nil }
        }
    }

    private func statusFault(_ code: Int, _ seconds: Int?) -> Refusal {
        let reason: Refusal.Code =
            switch code {
            case 401: .unauthorized
            case 403: .denied
            case 429: .tooManyRequests
            default: .unknown
            }
        var refusal = Refusal(.init(code: code), reason, "this is planned to go wrong")
        refusal.headers[.retryAfter] = seconds.map { String($0) }
        return refusal
    }
}
