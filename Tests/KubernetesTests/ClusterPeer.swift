// SPDX-License-Identifier: Apache-2.0
import HTTP
import Kubernetes
import OCI
import TestSupport

/// A server on a free port of this machine that answers as a test has it, in as many pieces as that wants.
typealias ClusterPeer = LoopbackServer

extension LoopbackServer {
    func access(_ credentials: ClusterAccess.Credentials = .token("t0ken")) throws -> ClusterAccess {
        var access = ClusterAccess(server: try HTTPURL("http://127.0.0.1:\(port)/"), namespace: "shop")
        (access.credentials, access.userName, access.contextName) = (credentials, "anna", "test")
        return access
    }

    func client(
        _ credentials: ClusterAccess.Credentials = .token("t0ken"),
        network: NetworkSettings = NetworkSettings()
    ) throws -> ClusterClient {
        ClusterClient(try access(credentials), network: network)
    }
}

extension LoopbackServer.Request {
    var json: JSONValue? { try? JSONValue(parsing: body) }
}

extension LoopbackServer.Reply {
    static func json(_ value: JSONValue, status: Int = 200) -> Self {
        Self(status: status, fields: ["Content-Type": "application/json"], body: value.canonical)
    }

    static func text(_ text: String, status: Int = 200) -> Self {
        Self(status: status, fields: ["Content-Type": "text/plain"], body: text)
    }

    /// A refusal as clusters have it.
    static func status(_ code: Int, _ reason: String, _ message: String, details: JSONValue? = nil) -> Self {
        var json: JSONValue = [
            "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": .string(reason),
            "message": .string(message), "code": .int(Int64(code)),
        ]
        json["details"] = details
        return .json(json, status: code)
    }
}

extension JSONValue {
    /// Reads a document that a test is sure of.
    static func of(_ text: String) throws -> JSONValue { try JSONValue(parsing: Array(text.utf8)) }
}
