// SPDX-License-Identifier: Apache-2.0
public import OCI

/// Writes manifests as a person would: members in the order in which people think of them, quotes only where they are
/// needed, remarks above what they are about.
///
/// Equal manifests give equal bytes. What is written is read as the same value by parsers of YAML 1.1 (Kubernetes' own)
/// and 1.2.
public struct ManifestWriter: Sendable {
    /// A writer.
    public init() {}

    /// Writes manifests as one stream.
    ///
    /// - Parameters:
    ///   - manifests: In the order in which they are applied.
    ///   - head: Lines of a remark at the top, each without its `#`; may be empty.
    /// - Returns: YAML, each document after a `---` line but the first; ends with a line end.
    public func write(_ manifests: [ObjectManifest], head: [String] = []) -> String {
        let top = head.map { "# \($0)\n" }.joined()
        return top + manifests.map { document($0) }.joined(separator: "---\n")
    }

    /// Writes one manifest.
    ///
    /// - Parameter manifest: The manifest; a Secret is written with its secrets.
    /// - Returns: YAML, ends with a line end.
    public func document(_ manifest: ObjectManifest) -> String {
        var lines = YAMLLines(comments: manifest.comments)
        lines.remark(at: [], indent: 0)
        lines.write(manifest.json, at: [], indent: 0)
        return lines.text
    }

    /// Writes any value.
    ///
    /// - Parameter value: The value.
    /// - Returns: YAML, ends with a line end.
    public func write(_ value: JSONValue) -> String { document(ObjectManifest(value)) }
}

/// YAML in the making.
private struct YAMLLines {
    let comments: [[String]: String]
    var text = ""

    init(comments: [[String]: String]) { self.comments = comments }

    mutating func write(_ value: JSONValue, at place: [String], indent: Int) {
        switch value {
        case .object(let members) where !members.isEmpty:
            for (index, name) in MemberOrder.sorted(members.keys, at: place).enumerated() {
                member(name, members[name] ?? .null, at: place, indent: indent, isFirst: index == 0)
            }
        case .array(let elements) where !elements.isEmpty:
            for (index, element) in elements.enumerated() {
                item(element, at: place + ["\(index)"], indent: indent)
            }
        default: text += YAMLText.flow(value) + "\n"
        }
    }

    private mutating func member(_ name: String, _ value: JSONValue, at place: [String], indent: Int, isFirst: Bool) {
        let here = place + [name]
        remark(at: here, indent: indent)
        pad(indent)
        text += YAMLText.plain(name) + ":"
        switch value {
        case .object(let members) where !members.isEmpty:
            text += "\n"
            write(value, at: here, indent: indent + 2)
        case .array(let elements) where YAMLText.isShort(elements):
            text += " " + YAMLText.flow(value) + "\n"
        case .array(let elements) where !elements.isEmpty:
            // As kubectl and most people have it: elements stand below the member's name.
            text += "\n"
            write(value, at: here, indent: indent)
        case .string(let string):
            if let lines = YAMLText.block(string, indent: indent + 2) {
                text += " " + lines
            } else {
                text += " " + YAMLText.plain(string) + "\n"
            }
        default: text += " " + YAMLText.flow(value) + "\n"
        }
    }

    private mutating func item(_ value: JSONValue, at place: [String], indent: Int) {
        remark(at: place, indent: indent)
        // The members of an object stand where its first one does, after "- ".
        var inner = YAMLLines(comments: comments)
        switch value {
        case .object(let members) where !members.isEmpty: inner.write(value, at: place, indent: indent + 2)
        case .array(let elements) where !elements.isEmpty && !YAMLText.isShort(elements):
            inner.write(value, at: place, indent: indent + 2)
        case .string(let string):
            if let lines = YAMLText.block(string, indent: indent + 2) {
                inner.text = lines
            } else {
                inner.text = YAMLText.plain(string) + "\n"
            }
        default: inner.text = YAMLText.flow(value) + "\n"
        }
        // A remark on the first member stands above the dash.
        var rest = Substring(inner.text)
        while let line = rest.split(separator: "\n", maxSplits: 1).first, line.drop(while: { $0 == " " }).first == "#",
            rest.first == " "
        {
            pad(indent)
            text += line.drop(while: { $0 == " " }) + "\n"
            rest = rest.dropFirst(line.count + 1)
        }
        pad(indent)
        text += "- " + rest.drop(while: { $0 == " " })
    }

    mutating func remark(at place: [String], indent: Int) {
        guard let remark = comments[place] else { return }
        for line in remark.split(separator: "\n") {
            pad(indent)
            text += "# \(line)\n"
        }
    }

    private mutating func pad(_ indent: Int) { text += String(repeating: " ", count: indent) }
}

/// The order in which people write members.
enum MemberOrder {
    private static let known = [
        "apiVersion", "kind", "metadata", "type", "immutable", "spec", "data", "stringData", "binaryData", "status",
        // Of metadata, containers, volumes, ports, variables.
        "name", "namespace", "labels", "annotations",
        "image", "imagePullPolicy", "command", "args", "workingDir", "containerPort", "port", "targetPort", "protocol",
        "key", "operator", "value", "valueFrom", "effect",
        // Of the Deployment.
        "replicas", "revisionHistoryLimit", "progressDeadlineSeconds", "selector", "strategy", "template",
        "matchLabels", "rollingUpdate", "maxSurge", "maxUnavailable",
        // Of the pod.
        "serviceAccountName", "automountServiceAccountToken", "enableServiceLinks", "hostname", "imagePullSecrets",
        "nodeSelector", "tolerations", "securityContext", "initContainers", "containers", "volumes",
        "terminationGracePeriodSeconds", "hostAliases", "dnsPolicy", "dnsConfig", "shareProcessNamespace",
        // Of containers.
        "ports", "envFrom", "env", "resources", "requests", "limits", "cpu", "memory", "startupProbe", "livenessProbe",
        "readinessProbe", "lifecycle", "volumeMounts", "stdin", "tty",
        // Of probes.
        "httpGet", "exec", "tcpSocket", "grpc", "path", "pathType", "backend", "scheme", "initialDelaySeconds",
        "periodSeconds", "timeoutSeconds", "failureThreshold",
        // Of security contexts.
        "privileged", "runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "fsGroupChangePolicy",
        "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities", "drop", "add", "seccompProfile",
        "sysctls",
        // Of mounts and volumes.
        "mountPath", "subPath", "readOnly", "driver", "volumeAttributes", "secretName", "claimName", "defaultMode",
        "items", "accessModes", "storageClassName",
        // Of what is about the pods.
        "ingressClassName", "tls", "hosts", "host", "http", "paths", "rules", "service", "scaleTargetRef",
        "minReplicas", "maxReplicas", "metrics", "resource", "target", "averageUtilization",
    ]
    private static let ranks = Dictionary(uniqueKeysWithValues: known.enumerated().map { ($1, $0) })
    /// What has names of people's own.
    private static let free: Set<String> = [
        "labels", "annotations", "data", "stringData", "binaryData", "matchLabels", "nodeSelector", "volumeAttributes",
    ]

    /// Members that are known in people's order, then the rest by the bytes of their names.
    static func sorted(_ names: some Sequence<String>, at place: [String]) -> [String] {
        let isFree = place.last.map { free.contains($0) } ?? false
        // Of one of several things, its name comes first; of a container, its program before what it may do.
        let isElement = place.last.flatMap { Int($0) } != nil
        let isContainer = isElement && ["containers", "initContainers"].contains(place.dropLast().last ?? "")
        let rank = { (name: String) -> Int in
            if isFree { return Int.max }
            if isElement, name == "name" { return -1 }
            return ranks[isContainer && name == "securityContext" ? "lifecycle" : name] ?? Int.max
        }
        return names.sorted { first, second in
            let (left, right) = (rank(first), rank(second))
            return left == right ? first.utf8.lexicographicallyPrecedes(second.utf8) : left < right
        }
    }
}
