// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
public import OCI

/// An image that a plan wants to know more of.
public struct BaseImageRequest: Hashable, Sendable {
    /// Where it comes from; never nothing.
    public let base: BaseAction
    /// Where the Dockerfile names it.
    public internal(set) var range: SourceRange
    /// The names of the stages that may have been meant instead; empty where the name is none that a stage can have.
    public internal(set) var stages: [String] = []

    /// Asks for an image.
    ///
    /// - Parameters:
    ///   - base: Where it comes from; never nothing.
    ///   - range: Where the Dockerfile names it.
    public init(base: BaseAction, range: SourceRange) {
        (self.base, self.range) = (base, range)
    }
}

/// What is known of an image before anything is unpacked.
public struct BaseImage: Sendable {
    /// The same image by its digest, where one is known.
    public let reference: ImageReference?
    /// Its configuration.
    public let config: ImageConfig

    /// Describes an image.
    ///
    /// - Parameters:
    ///   - reference: The same image by its digest.
    ///   - config: Its configuration.
    public init(reference: ImageReference?, config: ImageConfig) {
        (self.reference, self.config) = (reference, config)
    }
}

/// A place that knows the configurations of images: a registry, a store, an OCI layout.
public protocol BaseImageResolver: Sendable {
    /// Finds an image.
    ///
    /// - Parameter request: The image and its platform.
    /// - Returns: What is known of it; `nil` to plan without knowing more.
    /// - Throws: Where there is no such image.
    func resolve(_ request: BaseImageRequest) async throws -> BaseImage?
}

/// Knows no image: plans are made from the Dockerfile alone.
public struct NoBaseImages: BaseImageResolver {
    /// Creates a resolver that knows nothing.
    public init() {}

    /// Knows nothing.
    ///
    /// - Parameter request: Not looked at.
    /// - Returns: `nil`.
    public func resolve(_ request: BaseImageRequest) async -> BaseImage? { nil }
}
