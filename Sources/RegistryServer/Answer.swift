// SPDX-License-Identifier: Apache-2.0
internal import Glibc
package import HTTPTypes
package import OCI
internal import Store

/// What a request gets.
package struct Answer {
    package enum Body {
        case none
        case bytes([UInt8])
        case file(OpenFile, Range<Int64>)
    }

    package var status: HTTPResponse.Status
    package var headers: HTTPFields = [:]
    package var body = Body.none

    package init(_ status: HTTPResponse.Status) {
        self.status = status
    }

    /// An answer with a JSON document.
    package init(_ status: HTTPResponse.Status, json: JSONValue) {
        self.status = status
        body = .bytes(Array(json.canonical.utf8))
        headers[.contentType] = "application/json"
    }

    /// How long the body is, in bytes.
    var length: Int64 {
        switch body {
        case .none: 0
        case .bytes(let bytes): Int64(bytes.count)
        case .file(_, let range): Int64(range.count)
        }
    }
}

/// A file that is read from any place, and closed with the last reference.
package final class OpenFile: Sendable {
    let descriptor: Int32
    let size: Int64

    /// Opens a file; `nil` where there is none.
    init?(_ path: String) throws(StoreError) {
        descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw StoreError("opening \(path)", errno: errno)
        }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw StoreError("looking at \(path)", errno: errno) }
        size = Int64(status.st_size)
    }

    deinit {
        if descriptor >= 0 { close(descriptor) }
    }

    /// Reads from a place; fewer bytes than asked for only at the end of the file.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) -> Int {
        var done = 0
        while done < buffer.count {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[done...])
            let count = pread(descriptor, rest.baseAddress, rest.count, off_t(offset + Int64(done)))
            if count < 0, errno == EINTR { continue }
            if count <= 0 { break }
            done += count
        }
        return done
    }
}

/// Why a request gets no for an answer, in the words of the specification.
///
/// Specification: OCI distribution-spec 1.1, "Error Codes".
struct Refusal: Error {
    enum Code: String {
        case blobUnknown = "BLOB_UNKNOWN"
        case uploadInvalid = "BLOB_UPLOAD_INVALID"
        case uploadUnknown = "BLOB_UPLOAD_UNKNOWN"
        case digestInvalid = "DIGEST_INVALID"
        case manifestBlobUnknown = "MANIFEST_BLOB_UNKNOWN"
        case manifestInvalid = "MANIFEST_INVALID"
        case manifestUnknown = "MANIFEST_UNKNOWN"
        case nameInvalid = "NAME_INVALID"
        case nameUnknown = "NAME_UNKNOWN"
        case sizeInvalid = "SIZE_INVALID"
        case unauthorized = "UNAUTHORIZED"
        case denied = "DENIED"
        case unsupported = "UNSUPPORTED"
        case tooManyRequests = "TOOMANYREQUESTS"
        /// Not of the specification, which has none for a server's own faults.
        case unknown = "UNKNOWN"
    }

    struct Reason {
        let code: Code
        let message: String
        var detail: JSONValue?
    }

    let status: HTTPResponse.Status
    var reasons: [Reason]
    var headers: HTTPFields = [:]

    init(_ status: HTTPResponse.Status, _ code: Code, _ message: String, detail: JSONValue? = nil) {
        self.status = status
        reasons = [Reason(code: code, message: message, detail: detail)]
    }

    var answer: Answer {
        let errors = reasons.map { reason in
            var members: [String: JSONValue] = [
                "code": .string(reason.code.rawValue), "message": .string(reason.message),
            ]
            members["detail"] = reason.detail
            return JSONValue.object(members)
        }
        var answer = Answer(status, json: ["errors": .array(errors)])
        for field in headers { answer.headers.append(field) }
        return answer
    }
}

/// The header fields of registries.
extension HTTPField.Name {
    static let dockerDigest = field("Docker-Content-Digest")
    static let dockerUpload = field("Docker-Upload-UUID")
    static let dockerVersion = field("Docker-Distribution-API-Version")
    static let forwardedScheme = field("X-Forwarded-Proto")
    static let filters = field("OCI-Filters-Applied")
    static let link = field("Link")
    static let subject = field("OCI-Subject")
    static let tag = field("OCI-Tag")
    static let warning = field("Warning")

    /// The text is one of those above, which all have the right form.
    private static func field(_ text: String) -> HTTPField.Name { HTTPField.Name(text) ?? .via }
}
