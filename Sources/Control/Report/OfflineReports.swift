// Reports and the ledger of a Weir that does not run: the one from its journal, the other from its state.
// Place: behind `weir report`. Reads files only, takes no lock and changes nothing.
// Invariant: what is returned has the shape of /reports and /ledger.

import Payload
import Platform

/// Reads reports from a state directory.
package enum OfflineReports {
    /// The complete reports in the journal, oldest first; open ones come from the saved state.
    package static func reports(
        stateDir: String, model: String?, cut: String?
    ) throws(OfflineProblem) -> [JSON] {
        var filter = AuditFilter()
        (filter.model, filter.cut, filter.kinds) = (model, cut, [JournalEvent.Kind.report.rawValue])
        var found: [JSON] = []
        do throws(SystemFailure) {
            var reader = AuditReader(directory: stateDir)
            try reader.read(filter) { found.append($0.value) }
        } catch {
            throw .unreadable(error)
        }
        let open = try saved(stateDir)?.open.values.map(\.json) ?? []
        return found
            + open.filter { report in
                (model == nil || report["model"]?.string == model)
                    && (cut == nil || report["cut"]?.string == cut)
            }
    }

    /// What became of weight that was withheld under a cut's number, where no version was cut: the `held`
    /// line of the journal.
    package static func withheld(
        stateDir: String, model: String?, cut: String
    ) throws(OfflineProblem) -> JSON? {
        var filter = AuditFilter()
        (filter.model, filter.cut, filter.kinds) = (model, cut, [JournalEvent.Kind.held.rawValue])
        var found: JSON?
        do throws(SystemFailure) {
            var reader = AuditReader(directory: stateDir)
            try reader.read(filter) { line in
                if line.value["cause"]?.string == "decisions_lost" { found = line.value }
            }
        } catch {
            throw .unreadable(error)
        }
        return found.map { line in
            withheld(
                line, of: line["model"] ?? .null, stable: line["stable"] ?? .null, isOver: nil)
        }
    }

    /// The same of the page of a running Weir.
    package static func withheld(status: JSON, model: String?, cut: String) -> JSON? {
        for page in status["models"]?.elements ?? [] where model == nil || page["name"]?.string == model {
            guard let record = page["last_cut"], record["cut"]?.string == cut,
                record["versions"]?.elements.isEmpty == true
            else { continue }
            let names = status["journal"]?["withheld"]?.elements ?? []
            return withheld(
                record, of: page["name"] ?? .null, stable: page["stable"] ?? .null,
                isOver: !names.contains { $0 == page["name"] })
        }
        return nil
    }

    private static func withheld(_ record: JSON, of model: JSON, stable: JSON, isOver: Bool?) -> JSON {
        [
            "cut": record["cut"] ?? .null, "model": model, "stable": stable, "withheld": true,
            "over": isOver.map(JSON.bool) ?? .null, "at": record["at"] ?? .null,
            "reason": record["reason"] ?? .null, "weights_before": record["weights_before"] ?? .null,
        ]
    }

    /// Why there is no such report, as a sentence with the cuts that there are.
    package static func unknown(cut: String?, model: String?, among reports: [JSON]) -> String {
        let known = reports.compactMap { report -> String? in
            guard model == nil || report["model"]?.string == model else { return nil }
            guard let cut = report["cut"]?.line, let of = report["model"]?.line else { return nil }
            return model == nil ? "\(cut) of \(of)" : cut
        }
        let whose = model.map { " of \($0)" } ?? ""
        guard let cut else {
            let others = Set(reports.compactMap { $0["model"]?.line }).sorted().joined(separator: ", ")
            let list = others.isEmpty ? "nothing was cut" : "the models with cuts are \(others)"
            return "there is no report\(whose): \(list)"
        }
        let list = known.isEmpty ? "nothing was cut" : "the cuts are " + known.joined(separator: ", ")
        return "there is no cut \(cut)\(whose): \(list)"
    }

    /// The ledger over all rollouts.
    package static func ledger(stateDir: String) throws(OfflineProblem) -> JSON {
        Tally.ledger(try saved(stateDir)?.tallies ?? [:])
    }

    private static func saved(_ stateDir: String) throws(OfflineProblem) -> ReportDesk.Saved? {
        let path = StateDirectory.statePath(in: stateDir)
        let bytes: [UInt8]
        do throws(SystemFailure) {
            bytes = try Directory(stateDir, links: .followed).readAll(
                StateDirectory.stateName, bytesMax: 256 << 20)
        } catch {
            throw .unreadable(error)
        }
        do throws(StateProblem) {
            return try SavedState.decoded(bytes, path: path).reports
        } catch {
            throw .state(error)
        }
    }
}
