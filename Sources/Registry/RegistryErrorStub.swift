// SPDX-License-Identifier: Apache-2.0
public struct RegistryError: Error, Sendable {
    public struct Code: Hashable, Sendable {
        let name: String
        public static let credentials = Code(name: "credentials")
    }
    public let code: Code
    public let message: String
    public let hint: String?
    public init(_ code: Code, _ message: String, hint: String? = nil) {
        (self.code, self.message, self.hint) = (code, message, hint)
    }
}
