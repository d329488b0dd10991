// SPDX-License-Identifier: Apache-2.0
internal import Dispatch
internal import Glibc
internal import OCI
internal import Store
internal import Synchronization

/// A Kubernetes cluster of the emulated Azure: its objects, the controllers that make them true, and the pods that run
/// on this machine.
///
/// A lock guards the objects; controllers take turns on a queue of their own.
final class KubernetesCluster: Sendable {
    /// What the API server says it is.
    static let version = "v1.36.0"
    static let nodeName = "aks-nodepool1-10000000-vmss000000"

    let world: World
    let name: String
    /// `/subscriptions/…/managedClusters/NAME`.
    let id: String
    let folder: String
    let certificates: ClusterCertificates
    /// What `clusterUser` may show in place of a certificate.
    let token: String
    let schemas: KubeSchemas
    let store = Mutex(ObjectStore())
    /// Pods that run, by their numbers.
    let runs = Mutex<[String: PodRun]>([:])
    /// Services that listen, by their numbers.
    let listeners = Mutex<[String: ServiceListener]>([:])
    let services: ServiceNetwork
    /// Where the API server is: `https://127.0.0.1:6443`; set before it is first asked for.
    let url = Mutex("")
    private let isOver = Mutex(false)
    private let turns = DispatchQueue(label: "coracle.azure-emulator.controllers")

    init(_ world: World, _ name: String, id: String) throws {
        (self.world, self.name, self.id) = (world, name, id)
        folder = "\(world.options.folder)/clusters/\(name.lowercased())"
        try DiskFile.makeFolder(folder)
        certificates = try ClusterCertificates(in: folder)
        token = (Identifier.random() + Identifier.random()).filter { $0 != "-" }
        services = ServiceNetwork(world)
        schemas = try KubeSchemas(world.options.specifications)
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] { makeNamespace(namespace) }
        makeNode()
        tick()
    }

    /// The kubelet's identity, which pulls images where pods name no secret.
    var kubeletIdentity: String {
        "/subscriptions/\(world.options.subscription)/resourceGroups/MC_\(name)/providers/"
            + "Microsoft.ManagedIdentity/userAssignedIdentities/\(name)-agentpool"
    }

    // MARK: What is there from the first moment

    private func makeNamespace(_ name: String) {
        let object: JSONValue = ["apiVersion": "v1", "kind": "Namespace", "metadata": ["name": .string(name)]]
        _ = try? create(.namespaces, "", object, WriteRequest(manager: "kube-apiserver"))
    }

    private func makeNode() {
        let architecture = Platform.host.architecture
        let object: JSONValue = [
            "apiVersion": "v1", "kind": "Node",
            "metadata": [
                "name": .string(Self.nodeName),
                "labels": [
                    "kubernetes.io/arch": .string(architecture), "kubernetes.io/os": "linux",
                    "kubernetes.io/hostname": .string(Self.nodeName), "agentpool": "nodepool1",
                    "kubernetes.azure.com/cluster": .string("MC_\(name)"), "kubernetes.azure.com/mode": "system",
                    "topology.kubernetes.io/region": .string(world.options.location),
                ],
            ],
            "spec": ["providerID": .string("azure:///\(name)/0")],
            "status": [
                "capacity": ["cpu": "8", "memory": "32Gi", "pods": "250"],
                "allocatable": ["cpu": "7820m", "memory": "28Gi", "pods": "250"],
                "conditions": [
                    [
                        "type": "Ready", "status": "True", "reason": "KubeletReady",
                        "message": "kubelet is posting ready status",
                        "lastHeartbeatTime": .string(Moment.text()), "lastTransitionTime": .string(Moment.text()),
                    ]
                ],
                "nodeInfo": [
                    "architecture": .string(architecture), "operatingSystem": "linux",
                    "kubeletVersion": .string(Self.version), "kubeProxyVersion": .string(Self.version),
                    "osImage": "Coracle Azure emulator", "containerRuntimeVersion": "coracle://1",
                    "kernelVersion": "", "bootID": "", "machineID": "", "systemUUID": "",
                ],
                "addresses": [["type": "InternalIP", "address": "127.0.0.1"]],
            ],
        ]
        store.withLock { store in
            var node = object
            node.set("metadata", "uid", to: .string(Identifier.random()))
            node.set("metadata", "creationTimestamp", to: .string(Moment.text()))
            store.put(.nodes, node)
        }
    }

    // MARK: Controllers

    /// Lets the controllers look at what changed, soon.
    func poke() {
        turns.async { [weak self] in self?.reconcile() }
    }

    /// Looks again and again, for what changes with time alone.
    private func tick() {
        turns.asyncAfter(deadline: .now() + 0.25) { [weak self] in
            guard let self, !self.isOver.withLock({ $0 }) else { return }
            self.reconcile(always: true)
            self.tick()
        }
    }

    private func reconcile(always: Bool = false) {
        guard !isOver.withLock({ $0 }) else { return }
        for _ in 0..<50 {
            let isDirty = store.withLock { store in
                defer { store.isDirty = false }
                return store.isDirty
            }
            guard isDirty || always else { return }
            Controllers(cluster: self).run()
            guard store.withLock({ $0.isDirty }) else { return }
        }
    }

    /// Ends all pods and listeners; blocks until they have ended.
    func end() {
        isOver.withLock { $0 = true }
        turns.sync {}
        let services = listeners.withLock { all in
            defer { all = [:] }
            return Array(all.values)
        }
        for service in services { service.close() }
        let pods = runs.withLock { all in
            defer { all = [:] }
            return Array(all.values)
        }
        DispatchQueue.concurrentPerform(iterations: pods.count) { pods[$0].end(grace: 1) }
    }

    // MARK: Events

    /// Notes an event; the same again is counted.
    func event(_ object: JSONValue, _ reason: String, _ message: String, isWarning: Bool = false, from: String) {
        store.withLock { store in
            let namespace = object.kubeNamespace.isEmpty ? "default" : object.kubeNamespace
            // What goes with its namespace has nobody left to tell.
            guard store.get(.namespaces, ObjectKey("", namespace)) != nil else { return }
            let same = store.list(.events, namespace)
                .first {
                    $0.text("involvedObject", "uid") == object.kubeUID && $0.text("reason") == reason
                        && $0.text("message") == message
                }
            if var same {
                same["count"] = .int((same["count"]?.int ?? 1) + 1)
                same["lastTimestamp"] = .string(Moment.text())
                store.put(.events, same)
                return
            }
            let suffix = String(UInt64.random(in: 1 << 60...UInt64.max), radix: 16)
            let now: JSONValue = .string(Moment.text())
            store.put(
                .events,
                [
                    "apiVersion": "v1", "kind": "Event",
                    "metadata": [
                        "name": .string("\(object.kubeName).\(suffix)"), "namespace": .string(namespace),
                        "uid": .string(Identifier.random()), "creationTimestamp": now,
                    ],
                    "involvedObject": [
                        "kind": object["kind"] ?? "", "namespace": .string(object.kubeNamespace),
                        "name": .string(object.kubeName), "uid": .string(object.kubeUID),
                        "apiVersion": object["apiVersion"] ?? "",
                        "resourceVersion": .string(object.text("metadata", "resourceVersion")),
                    ],
                    "reason": .string(reason), "message": .string(message),
                    "type": isWarning ? "Warning" : "Normal", "count": 1, "firstTimestamp": now, "lastTimestamp": now,
                    "source": ["component": .string(from)], "reportingComponent": .string(from),
                    "reportingInstance": "",
                ]
            )
            // As many as a person would read; a real cluster forgets them after an hour.
            let all = store.list(.events)
            if all.count > 1_000, let oldest = all.min(by: { $0.kubeRevision < $1.kubeRevision }) {
                store.remove(.events, ObjectKey(oldest))
            }
        }
    }
}
