// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import OCI
internal import Registry

/// A web token that we sign with a certificate's key, good for ten minutes.
///
/// Specification: Microsoft identity platform, "Certificate credentials"; RFC 7515, section 4.1.8 (`x5t#S256`).
struct CertificateAssertion {
    /// The token, a secret.
    let text: String

    init(
        file: String,
        password: String?,
        sendsChain: Bool,
        client: String,
        audience: String,
        now: Int64 = Clock.now
    ) throws(AzureError) {
        let bytes = try AzureFile.read(file, limit: 1 << 20, what: "the certificate")
        let signer: SigningCertificate
        let signature: [UInt8]
        let signed: String
        do {
            signer = try SigningCertificate(bytes, passphrase: password)
            var hash = SHA256()
            hash.update(signer.certificate)
            var header: JSONValue = [
                "alg": "PS256", "typ": "JWT", "x5t#S256": .string(Base64.encodeForURL(hash.finish())),
            ]
            if sendsChain, case .object(var members) = header {
                members["x5c"] = JSONValue(signer.chain.map { Base64.encode($0) })
                header = .object(members)
            }
            let claims: JSONValue = [
                "aud": .string(audience), "iss": .string(client), "sub": .string(client),
                "jti": .string(GUID.random()), "nbf": .int(now), "iat": .int(now), "exp": .int(now + 600),
            ]
            signed = [header, claims].map { Base64.encodeForURL(Array($0.canonical.utf8)) }.joined(separator: ".")
            signature = try signer.signPS256(Array(signed.utf8))
        } catch {
            throw AzureError(
                .usage,
                "the certificate \(file) cannot be used: \(error.message)",
                hint: "AZURE_CLIENT_CERTIFICATE_PATH names a PEM file with certificate and RSA key, or a .pfx; "
                    + "AZURE_CLIENT_CERTIFICATE_PASSWORD is its password"
            )
        }
        text = signed + "." + Base64.encodeForURL(signature)
    }
}
