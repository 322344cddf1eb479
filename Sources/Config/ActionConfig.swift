// What `actions:` says: which sinks are told of which decisions. Secrets are named by the files they lie in
// and read when they are used, so that they can be changed while running and never stand in a config, a
// status page or a log. Invariant: names are unique; every bound holds; read by `ConfigLoader+Actions`.

import Payload
import Platform

/// One sink and what it is told.
package struct ActionConfig: Sendable, Hashable {
    /// Stands in metrics and in the journal, where what is still owed is looked up after a restart.
    package var name: String
    /// The decisions it is told of; not empty.
    package var kinds: Set<NoticeKind>
    /// The models it is told of; empty: all.
    package var models: Set<String>
    package var sink: ActionSink
    package var retry = ActionRetry()
}

/// What kind of decision others are told of.
package enum NoticeKind: String, Sendable, CaseIterable {
    /// A candidate lost its traffic.
    case cut
    /// A version has all of it.
    case promote
    /// A rollout waits for a person.
    case hold
    /// The check after a cut has answered.
    case recovery
    /// A rule that only warns has tripped, or a dry run shows what it would have done.
    case alert
    /// A rollout began.
    case start
    /// A rollout came to another stage.
    case stage
    /// A random split is proven not to be what its weights say.
    case sampleRatio = "sample_ratio"
    /// A model's users are not served, by any of its versions; and they are again.
    case unserved, served
}

/// How a failed attempt is repeated: after a pause that doubles, with jitter, until the decision is too old.
package struct ActionRetry: Sendable, Hashable {
    package var pause = Interval.seconds(1)
    package var pauseMax = Interval.seconds(60)
    /// Since the decision; the first attempt is made in any case.
    package var ageMax = Interval.seconds(3_600)
}

/// Who is told, and how.
package enum ActionSink: Sendable, Hashable {
    case webhook(WebhookConfig)
    case exec(ExecConfig)
    case mlflow(MLflowConfig)
    case argo(ArgoConfig)
    case kubernetes(KubernetesConfig)

    /// The sink's key in the config.
    package var word: String {
        switch self {
        case .webhook: "webhook"
        case .exec: "exec"
        case .mlflow: "mlflow"
        case .argo: "argo"
        case .kubernetes: "kubernetes"
        }
    }
}

/// A POST of JSON.
package struct WebhookConfig: Sendable, Hashable {
    /// The shape of the body.
    package enum Format: String, Sendable, CaseIterable { case json, slack, pagerduty }

    /// Where to; a file where the URL itself is a secret.
    package enum Address: Sendable, Hashable {
        case url(HTTPURL)
        case file(String)
    }

    package var address: Address
    package var format: Format
    /// Key of the HMAC that signs the body.
    package var secretFile: String?
    /// PagerDuty's integration key.
    package var routingKeyFile: String?
    package var caFile: String?
    package var timeout: Interval
}

/// A program that gets the notice on its standard input.
package struct ExecConfig: Sendable, Hashable {
    /// Path of the program, then its arguments.
    package var command: [String]
    /// Then it gets SIGTERM, and `grace` later SIGKILL.
    package var timeout: Interval
    package static let grace = Interval.seconds(2)
}

/// Two aliases of a registered model.
package struct MLflowConfig: Sendable, Hashable {
    package var access: MLflowAccess
    /// The name in the registry.
    package var model: String
    /// Points at the version that has all traffic.
    package var champion: String
    /// Points at the one that had it before.
    package var previous: String
    /// The registry's version numbers by Weir's version names.
    package var versions: [String: String]
}

/// How the API server of Kubernetes is reached; what is nil comes from the pod's service account.
package struct KubernetesAccess: Sendable, Hashable {
    package var url: HTTPURL?
    package var tokenFile: String?
    package var caFile: String?
    package var namespace: String?
    package var timeout: Interval
}

/// A Rollout of Argo Rollouts: aborted by a cut, fully promoted by a promotion.
package struct ArgoConfig: Sendable, Hashable {
    package var access: KubernetesAccess
    /// The object's name.
    package var rollout: String
}

/// A patch of any object.
package struct KubernetesConfig: Sendable, Hashable {
    /// The patch's form: RFC 7386, Kubernetes' own, or RFC 6902.
    package enum Form: String, Sendable, CaseIterable {
        case merge, strategic, json

        package var contentType: String {
            switch self {
            case .merge: "application/merge-patch+json"
            case .strategic: "application/strategic-merge-patch+json"
            case .json: "application/json-patch+json"
            }
        }
    }

    package var access: KubernetesAccess
    /// As `apps/v1`, or `v1` for the core group.
    package var api: String
    /// The plural, as `deployments`.
    package var resource: String
    package var object: String
    package var subresource: String?
    package var form: Form
    package var patch: JSON
}
