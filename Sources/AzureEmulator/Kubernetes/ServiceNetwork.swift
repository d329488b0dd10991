// SPDX-License-Identifier: Apache-2.0
internal import Sandbox
internal import Synchronization

/// The network where services are listened for on behalf of pods, which reach it by cables.
///
/// In the pod's own network an address of a service would be in the way of the pod's programs: Linux lets nobody listen
/// at all addresses of a port while another socket listens at one of them. A lock guards what was said.
final class ServiceNetwork: Sendable {
    private let inside: NetworkNamespace?
    private let note: @Sendable (String) -> Void
    private let wasSaid = Mutex(false)

    init(_ world: World) {
        note = world.options.note
        // Where there is none, pods have none either, and say so.
        inside = world.options.sharesNetwork ? nil : try? NetworkNamespace()
    }

    /// Lets a pod reach the services; `false` where the machine refuses.
    func join(_ pod: GroupNetwork) -> Bool {
        guard let inside else { return false }
        do {
            try pod.reach(inside)
            return true
        } catch {
            let isFirst = wasSaid.withLock { wasSaid in
                defer { wasSaid = true }
                return !wasSaid
            }
            if isFirst {
                note(
                    "pods reach no service at a port that one of their own containers has, as services can have no "
                        + "network of their own: \(error)"
                )
            }
            return false
        }
    }

    /// A socket that listens for pods; `nil` where there is no network, or the place is taken.
    func listen(_ address: String, _ port: Int) -> Int32? {
        guard let inside else { return nil }
        let made = try? inside.run { ServiceListener.listen(address, port) }
        return made.flatMap { $0 }
    }
}
