// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// The host that blobs are fetched from where a registry does not send them itself.
///
/// It is as strict as Azure Storage, which refuses a signed URL together with `Authorization`.
extension Responder {
    /// Where a blob is; the signature is the right to it.
    func storageLocation(_ digest: Digest, at storage: String) -> String {
        "\(storage)/storage/\(digest.hex)?sig=\(signature(digest))"
    }

    private func signature(_ digest: Digest) -> String {
        Base64.encode(hmac(Array(digest.description.utf8), key: storageKey))
    }

    /// The blob that a signed URL is for.
    func storageDigest(_ exchange: Exchange) throws(Refusal) -> Digest {
        guard exchange.headers[.authorization] == nil else {
            throw Refusal(
                .badRequest,
                .unknown,
                "InvalidAuthenticationInfo: Authentication information is not given in the correct format. "
                    + "Check the value of Authorization header."
            )
        }
        guard let digest = try? Digest("sha256:" + exchange.path.dropFirst("/storage/".count)),
            let text = exchange.query("sig"), isEqual(Array(text.utf8), Array(signature(digest).utf8))
        else { throw Refusal(.forbidden, .denied, "AuthenticationFailed: the signature is not right") }
        return digest
    }

    func getStored(_ digest: Digest, _ exchange: Exchange) throws -> Answer {
        guard let file = try OpenFile(store.path(of: digest)) else {
            throw Refusal(.notFound, .blobUnknown, "BlobNotFound: there is no blob \(digest)")
        }
        return try content(of: Answer(.ok), file, BlobName(digest), exchange)
    }
}
