// SPDX-License-Identifier: Apache-2.0
import Foundation
import HTTP
import OCI
import Synchronization
import TestSupport

@testable import Azure

/// A server on a free port of this machine that remembers what it was asked, bodies included.
typealias Peer = LoopbackServer

extension LoopbackServer {
    var url: HTTPURL {
        get throws { try HTTPURL("http://\(host)/") }
    }
}

extension LoopbackServer.Request {
    var json: JSONValue? { try? JSONValue(parsing: body) }
}

extension LoopbackServer.Reply {
    static func json(_ value: JSONValue, status: Int = 200, _ fields: [String: String] = [:]) -> Self {
        var fields = fields
        fields["Content-Type"] = "application/json"
        return Self(status: status, fields: fields, body: value.canonical)
    }

    static func status(_ status: Int, _ fields: [String: String] = [:], _ body: String = "") -> Self {
        Self(status: status, fields: fields, body: body)
    }
}

/// A policy that does not make tests wait.
var hasty: RetryPolicy {
    var policy = RetryPolicy()
    (policy.firstDelay, policy.longestDelay) = (.milliseconds(1), .milliseconds(5))
    return policy
}

/// A session without patience.
func session() -> HTTPSession { HTTPSession(NetworkTransport(), policy: hasty) }

extension AzureCloud {
    /// A cloud whose services are at a server of this machine.
    static func local(_ peer: Peer, like cloud: AzureCloud = .public) throws -> AzureCloud {
        var local = cloud
        (local.authority, local.resourceManager) = (try peer.url, try peer.url)
        return local
    }
}

/// A web token without a signature.
func webToken(_ claims: JSONValue) -> String {
    [#"{"alg":"none"}"#, claims.canonical, "x"]
        .map {
            Data($0.utf8).base64EncodedString().replacing("=", with: "").replacing("+", with: "-")
                .replacing("/", with: "_")
        }
        .joined(separator: ".")
}

/// An identity that always has a token.
struct Somebody: AzureIdentity {
    var value = "token-of-somebody"
    var summary: String { "somebody" }
    func token(for resource: String) async throws -> AzureToken { AzureToken(value, expires: Clock.now + 3600) }
}

extension Peer.Reply {
    /// What Entra ID answers with.
    static func token(_ value: String, seconds: Int64 = 3599) -> Peer.Reply {
        .json(["token_type": "Bearer", "expires_in": .int(seconds), "access_token": .string(value)])
    }
}
