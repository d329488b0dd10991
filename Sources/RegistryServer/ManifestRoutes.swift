// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import OCI
internal import Store

/// Manifests and indexes.
///
/// Specification: OCI distribution-spec 1.1, "Pulling manifests", "Pushing Manifests", "Content Management".
extension Responder {
    /// The manifest of a tag or a digest; `nil` where there is none, or the text is neither.
    func manifest(_ reference: String, in repository: RepositoryName) throws(StoreError) -> ManifestRecord? {
        if let name = try? BlobName(reference) {
            if let record = try repositories.manifest(name, in: repository) { return record }
            return try listed.manifest(name, in: repository)
        }
        guard let tag = try? TagName(reference) else { return nil }
        if let record = try repositories.manifest(tagged: tag, in: repository) { return record }
        return try listed.manifest(tagged: tag, in: repository)
    }

    /// end-3: a manifest as it was pushed.
    func getManifest(_ reference: String, in repository: RepositoryName, _ exchange: Exchange) throws -> Answer {
        guard let record = try manifest(reference, in: repository),
            let file = try OpenFile(store.path(of: record.descriptor.digest))
        else { throw unknownManifest(reference, in: repository) }
        let digest = try name(of: record, askedFor: reference, in: repository)
        var answer = Answer(.ok)
        answer.headers[.dockerDigest] = digest
        answer.headers[.eTag] = "\"\(digest)\""
        if exchange.headers[.ifNoneMatch]?.contains("\"\(digest)\"") ?? false {
            answer.status = .notModified
            return answer
        }
        answer.headers[.contentType] = record.descriptor.mediaType.description
        answer.body = .file(file, 0..<file.size)
        return answer
    }

    /// The digest of a manifest as its client knows it: one that pushed or asked by SHA-512 checks by it.
    private func name(
        of record: ManifestRecord,
        askedFor reference: String,
        in repository: RepositoryName
    ) throws(StoreError) -> String {
        if reference.hasPrefix("sha512:") { return reference }
        let pushed = try (try? TagName(reference))
            .flatMap { (tag) throws(StoreError) in
                try repositories.name(of: tag, in: repository)
            }
        return pushed.flatMap { $0.sha256 == nil ? $0.description : nil } ?? record.descriptor.digest.description
    }

    private func unknownManifest(_ reference: String, in repository: RepositoryName) -> Refusal {
        Refusal(
            .notFound,
            .manifestUnknown,
            "there is no manifest \(reference) in \(repository)",
            detail: ["name": .string(repository.description), "reference": .string(reference)]
        )
    }

    /// end-7: takes a manifest, if all that it needs is there.
    func putManifest(_ reference: String, in repository: RepositoryName, _ exchange: Exchange) async throws -> Answer {
        guard let bytes = try await exchange.body.collect(limit: options.manifestLimit) else {
            throw Refusal(.contentTooLarge, .sizeInvalid, "a manifest has at most \(options.manifestLimit) bytes")
        }
        let document = try ManifestDocument(bytes, type: exchange.headers[.contentType])
        var tags = try exchange.query.filter { $0.name == "tag" }.map { try tag($0.value) }
        // Nothing is collected between the check and the record.
        let lease = try store.lease()
        defer { withExtendedLifetime(lease) {} }
        var name: BlobName?
        if reference.contains(":") {
            name = try Route.digest(reference)
        } else {
            tags.insert(try tag(reference), at: 0)
        }
        try checkParts(of: document, in: repository)
        let descriptor = try keep(bytes, document.mediaType, as: name)
        var record = ManifestRecord(descriptor)
        (record.subject, record.artifactType) = (document.subject, document.artifactType)
        record.annotations = document.annotations
        try repositories.add(record, as: name ?? BlobName(descriptor.digest), tags: tags, in: repository)
        var answer = Answer(.created)
        let digest = name?.description ?? descriptor.digest.description
        answer.headers[.location] = "/v2/\(repository)/manifests/\(digest)"
        answer.headers[.dockerDigest] = digest
        answer.headers[.subject] = document.subject?.description
        if exchange.query("tag") != nil { answer.headers[.tag] = tags.map(\.description).joined(separator: ", ") }
        return answer
    }

    private func tag(_ text: String) throws(Refusal) -> TagName {
        do {
            return try TagName(text)
        } catch {
            throw Refusal(.badRequest, .manifestInvalid, error.message)
        }
    }

    /// Writes the bytes, unless a client says that they are others.
    private func keep(_ bytes: [UInt8], _ type: MediaType, as name: BlobName?) throws -> Descriptor {
        let digest = BlobName.of(bytes, name?.algorithm ?? .sha256)
        if let name, name != digest {
            throw Refusal(
                .badRequest,
                .digestInvalid,
                "the manifest has the digest \(digest), and was pushed as \(name)",
                detail: .string(digest.description)
            )
        }
        return try store.put(bytes, type)
    }

    /// What is missing is named, all of it; what is there belongs to the repository from now on.
    private func checkParts(of document: ManifestDocument, in repository: RepositoryName) throws {
        var missing: [BlobName] = []
        for name in document.manifests where try manifest(name.description, in: repository) == nil {
            missing.append(name)
        }
        for name in document.blobs {
            if let digest = try blob(name, in: repository) {
                try repositories.link(digest, as: name, in: repository)
            } else {
                missing.append(name)
            }
        }
        if missing.isEmpty { return }
        var refusal = Refusal(.badRequest, .manifestBlobUnknown, "")
        refusal.reasons = missing.map { name in
            Refusal.Reason(
                code: .manifestBlobUnknown,
                message: "the manifest needs \(name), which is not in \(repository): push it first",
                detail: ["digest": .string(name.description)]
            )
        }
        throw refusal
    }

    /// end-9: removes a tag, or a manifest with its tags.
    func deleteManifest(_ reference: String, in repository: RepositoryName) throws -> Answer {
        guard repositories.exists(repository) || listed.has(repository) else {
            throw Refusal(.notFound, .nameUnknown, "there is no repository \(repository)")
        }
        let lease = try store.lease()
        defer { withExtendedLifetime(lease) {} }
        if let name = try? BlobName(reference) {
            if let record = try repositories.manifest(name, in: repository) {
                try repositories.remove(record, in: repository)
                return Answer(.accepted)
            }
            if try listed.manifest(name, in: repository) != nil { throw listedImage(repository) }
        } else if let tag = try? TagName(reference) {
            if repositories.removeTag(tag, in: repository) { return Answer(.accepted) }
            if try listed.manifest(tagged: tag, in: repository) != nil { throw listedImage(repository) }
        }
        throw unknownManifest(reference, in: repository)
    }
}
