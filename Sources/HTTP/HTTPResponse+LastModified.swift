// SPDX-License-Identifier: Apache-2.0

extension HTTPResponse {
    /// When the content changed last, in seconds since 1970; `nil` where the server does not say, or not in the form of
    /// RFC 9110, section 5.6.7.
    public var lastModified: Int64? { headers["Last-Modified"].flatMap { HTTPDate.seconds($0) }.map { Int64($0) } }
}
