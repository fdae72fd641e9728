# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules that make a session safe, each with the change of the code that removes it and the test that breaks then.

``python -m ansible_collections.opendr.hyperv.tests.mutations`` (make mutants) applies one after another to a copy of
the tree. docs/design/session.md shows rule, file and test.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Mutation(NamedTuple):
    """``file`` lies in the engine, unless it begins with ``tests/``; ``test`` is a pytest id below ``tests/``."""

    rule: str
    file: str
    old: str
    new: str
    test: str


REPLICATE: Final = "services/replicate"
SESSION: Final = "integration/session"

DIFFERENCES: Final = "unit/model/test_foreign.py::test_each_difference"

MUTATIONS: Final = (
    # The record decides.
    Mutation(
        "a session takes the replica with the next epoch",
        "model/lease.py",
        "epoch=record.epoch + 1",
        "epoch=record.epoch",
        "unit/model/test_lease.py::test_free_or_ended_lease_is_taken_with_the_next_epoch",
    ),
    Mutation(
        "two managers exclude each other, whatever their catalogs say",
        "model/lease.py",
        "held.manager_id != lease.manager_id",
        "False",
        "unit/model/test_lease.py::test_lease_of_another_manager_is_respected_and_named",
    ),
    Mutation(
        "a lease is judged by the age of the record, by the target host's clock",
        "model/lease.py",
        "age_seconds < held.seconds",
        "age_seconds >= 0",
        "unit/model/test_lease.py::test_free_or_ended_lease_is_taken_with_the_next_epoch",
    ),
    Mutation(
        "this manager takes the lease of its own dead session at once",
        "model/lease.py",
        "held.manager_id != lease.manager_id and ",
        "",
        "unit/model/test_lease.py::test_own_dead_session_gives_its_lease_up",
    ),
    Mutation(
        "the record is replaced only by who knows its epoch and revision",
        "tests/lab/hyperv/records.py",
        "if found != expected:",
        "if False:",
        "unit/lab/test_records.py::test_write_that_expects_another_record_than_the_stored_one_is_fenced",
    ),
    Mutation(
        "each write of the record has the next revision",
        f"{REPLICATE}/records.py",
        "revision=self.record.revision + 1",
        "revision=self.record.revision",
        f"{SESSION}/test_main_line.py::test_first_copy_sends_what_is_allocated_and_makes_a_restore_point",
    ),
    Mutation(
        "a record that cannot be read is never replaced",
        f"{REPLICATE}/machine.py",
        "in records.unreadable:",
        "in ():",
        f"{SESSION}/test_touched_replica.py::test_record_that_cannot_be_read_is_never_replaced",
    ),
    Mutation(
        "a record of another format is not guessed at",
        "model/record.py",
        "if found != FORMAT:",
        "if False:",
        "unit/model/test_record.py::test_another_format_is_refused_by_number",
    ),
    Mutation(
        "small files that decide are replaced whole, or not at all",
        "adapters/files.py",
        "os.replace(temporary, path)",
        "open(path, 'wb').write(data)",
        "integration/adapters/test_files.py::test_what_replaces_a_small_file_is_durable_before_it_does",
    ),
    Mutation(
        "a lost catalog costs history only",
        f"{REPLICATE}/session.py",
        "except CatalogError as error:",
        "except KeyError as error:",
        f"{SESSION}/test_catalog_follows.py::test_catalog_that_fails_does_not_stop_a_session",
    ),
    Mutation(
        "SQLite on a network file system is refused",
        "adapters/catalog.py",
        "    if network:",
        "    if False:",
        "integration/catalog/test_refusals.py::test_sqlite_on_a_network_file_system_is_refused",
    ),
    # Fencing.
    Mutation(
        "the target host refuses an older epoch",
        "tests/lab/hyperv/front.py",
        'self._records.check_fence(folder, call.number("Epoch"))',
        "pass",
        "unit/lab/test_records.py::test_functions_of_a_replica_are_fenced_by_its_record",
    ),
    Mutation(
        "the source host refuses an older epoch",
        "tests/lab/hyperv/fences.py",
        'if epoch < known["epoch"]:',
        "if False:",
        "contract/test_hypervisor_port.py::test_older_epoch_changes_nothing_on_the_source",
    ),
    Mutation(
        "movers refuse an older epoch, also after a restart",
        "mover/epochs.py",
        "if epoch < seen:",
        "if False:",
        "unit/mover/test_parts.py::test_an_epoch_may_repeat_and_rise_but_not_fall",
    ),
    Mutation(
        "the journal beside a leaf refuses an older epoch",
        "mover/leaf.py",
        "journal.epoch > order.ticket.epoch",
        "False",
        "unit/mover/test_leaf.py::test_a_journal_of_a_newer_epoch_refuses_the_leaf",
    ),
    Mutation(
        "a newer session ends the transfers of an older one",
        "mover/registry.py",
        "ticket.epoch < epoch",
        "False",
        "integration/mover/test_refusals.py::test_a_newer_epoch_takes_the_leaf_over",
    ),
    Mutation(
        "movers refuse an older epoch at the source too",
        "mover/functions.py",
        "self._admit(order.ticket.replica_id, order.ticket.epoch)",
        "pass",
        "integration/mover/test_refusals.py::test_a_source_refuses_an_older_epoch_also_after_a_restart",
    ),
    Mutation(
        "a write whose answer was lost is made sure of before the next",
        f"{REPLICATE}/records.py",
        "        self.make_sure()\n",
        "",
        f"{SESSION}/test_lost_answers.py::test_session_gives_back_what_it_has_although_it_was_told_otherwise",
    ),
    Mutation(
        "a data connection without the right ticket from the right peer gets nothing",
        "mover/registry.py",
        'peer == Peer("mover", transfer.ticket.source_mover)',
        "True",
        "integration/mover/test_refusals.py::test_wrong_tickets_and_peers_all_get_the_same_answer",
    ),
    Mutation(
        "a session that was fenced changes nothing more",
        f"{REPLICATE}/machine.py",
        "        _require_ours(work, error)\n",
        "",
        f"{SESSION}/test_bad_input.py::test_session_that_fails_when_another_has_its_replica_leaves_everything_to_it",
    ),
    # The leaf, and nothing but the leaf.
    Mutation(
        "the replica is written only while it is off",
        f"{REPLICATE}/target.py",
        "if found.state is not PowerState.OFF:",
        "if False:",
        f"{SESSION}/test_touched_replica.py::test_replica_that_runs_is_refused_and_compared_after_it_was_turned_off",
    ),
    Mutation(
        "a leaf has one writer",
        "adapters/files.py",
        "(fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)",
        "fcntl.LOCK_SH",
        "integration/mover/test_refusals.py::test_a_leaf_in_use_is_not_opened",
    ),
    Mutation(
        "a restore point is made only of what was sent",
        f"{REPLICATE}/settle.py",
        "if not point_is_as_sent(work):",
        "if False:",
        f"{SESSION}/test_touched_replica.py::test_replica_that_is_changed_between_transfer_and_restore_point",
    ),
    Mutation(
        "a dead session's restore point is committed only when it is made of what was sent",
        f"{REPLICATE}/recovery.py",
        "if made is not None and not point_is_as_sent(work):",
        "if False:",
        f"{SESSION}/test_touched_replica.py::test_replica_that_is_changed_between_transfer_and_restore_point",
    ),
    Mutation(
        "a dead session's cycle is finished only when the leaves are as its transfers left them",
        f"{REPLICATE}/recovery.py",
        "if made is None and not leaves_are_as_sent(work):",
        "if False:",
        f"{SESSION}/test_touched_replica.py::test_leaf_that_is_edited_after_a_session_died_is_compared",
    ),
    Mutation(
        "a leaf that no journal explains is compared",
        "mover/leaf.py",
        "if journal is None or not journal.explains(found, recorded=recorded):",
        "if False:",
        "integration/mover/test_refusals.py::test_a_leaf_that_somebody_wrote_to_is_not_opened_unless_asked",
    ),
    Mutation(
        "a transfer goes on only in the leaf that its own cycle left",
        "mover/leaf.py",
        "journal.cycle_id == cycle_id and ",
        "",
        "integration/mover/test_resume.py::test_another_cycle_does_not_resume",
    ),
    Mutation(
        "a transfer goes on only in a leaf that nobody else wrote to",
        "mover/leaf.py",
        "self._found.data_write_guid in (journal.previous, journal.written)",
        "True",
        "unit/mover/test_leaf.py::test_a_leaf_that_somebody_wrote_to_is_not_gone_on_with",
    ),
    Mutation(
        "the journal says only what is durable",
        "mover/leaf.py",
        "durable_until:\n            self._chain.flush()\n",
        "durable_until:\n",
        "unit/mover/test_leaf.py::test_what_the_journal_calls_durable_was_flushed_before",
    ),
    Mutation(
        "an unclean leaf is replaced by a fresh one on the newest restore point",
        f"{REPLICATE}/leaves.py",
        "        _apply(work, newest)",
        "        pass",
        f"{SESSION}/test_touched_replica.py::test_damaged_leaf_is_replaced_by_a_fresh_one",
    ),
    Mutation(
        "changes can be sent again only onto something known",
        "model/scopes.py",
        "and before is not Content.UNKNOWN",
        "",
        "unit/model/test_scopes.py::test_only_changes_onto_something_known_can_be_sent_again",
    ),
    # The fingerprint of the leaf.
    Mutation(
        "fingerprint: the path of the leaf",
        "model/foreign.py",
        "if disk.content is not Content.RESTORE_POINT or is_same_path(disk.leaf, leaf.path):",
        "if True:",
        f"{SESSION}/test_touched_replica.py::test_leaf_in_another_place_is_compared",
    ),
    Mutation(
        "fingerprint: the restore points of the host",
        "model/foreign.py",
        "if point.restore_point_id not in known:",
        "if False:",
        f"{DIFFERENCES}_is_a_sign_and_leads_to_comparing_where_content_is_in_doubt",
    ),
    Mutation(
        "fingerprint: the DataWriteGuid",
        "model/foreign.py",
        "if found is not None and disk.data_write_guid != found:",
        "if False:",
        f"{DIFFERENCES}_is_a_sign_and_leads_to_comparing_where_content_is_in_doubt",
    ),
    Mutation(
        "fingerprint: of empty leaves only",
        f"{REPLICATE}/leaves.py",
        "state.data_write_guid if state.is_empty else None",
        "state.data_write_guid",
        f"{SESSION}/test_touched_replica.py::test_new_leaf_that_is_edited_before_its_fingerprint_is_compared",
    ),
    # Foreign hands.
    Mutation(
        "what somebody else did to a replica is never overwritten when the job forbids it",
        f"{REPLICATE}/foreign.py",
        "if traces and job.on_touched is OnTouched.FAIL:",
        "if False:",
        f"{SESSION}/test_foreign_hands.py::test_foreign_hand_is_named_and_overwritten_only_when_the_job_says_so",
    ),
    Mutation(
        "what was found is compared, also when the session that found it dies",
        "model/foreign.py",
        "replace(found, content=Content.UNKNOWN, data_write_guid",
        "replace(found, data_write_guid",
        "unit/model/test_foreign.py::test_what_was_found_is_the_fingerprint_from_then_on_and_has_to_be_compared",
    ),
    Mutation(
        "what a dead session may have done is no foreign hand",
        "model/foreign.py",
        " and point_id not in record.removing:",
        ":",
        "unit/model/test_foreign.py::test_what_a_session_of_ours_may_have_done_is_no_foreign_hand",
    ),
    Mutation(
        "a record that somebody edited is believed in nothing about its leaves",
        f"{REPLICATE}/foreign.py",
        "replace(disk, content=Content.UNKNOWN, data_write_guid=None) for disk",
        "disk for disk",
        f"{SESSION}/test_foreign_hands.py::test_foreign_hand_is_named_and_overwritten_only_when_the_job_says_so",
    ),
    Mutation(
        "with the newest restore point goes the tracking point",
        "model/retention.py",
        "if record.tracking is None or record.newest not in lost:",
        "if True:",
        "unit/model/test_retention.py::test_tracking_point_goes_with_the_newest_restore_point",
    ),
    Mutation(
        "a dead session's transfer goes on only into a leaf that its scope explains",
        "model/scopes.py",
        "return content is (Content.CHANGES if scope is Scope.CHANGED else Content.UNKNOWN)",
        "return True",
        "unit/model/test_scopes.py::test_transfer_goes_on_only_where_its_scope_explains_the_leaf",
    ),
    # "Nothing changed" is never assumed.
    Mutation(
        "machines below configuration version 8.0 are compared",
        "model/scopes.py",
        "(not evidence.version_tracked, Reason.VERSION_NOT_TRACKED),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "machines below configuration version 6.2 are refused",
        "model/inspection.py",
        "if machine.version_number < VERSION_OLDEST:",
        "if False:",
        "unit/model/test_inspection.py::test_what_cannot_be_replicated_is_refused",
    ),
    Mutation(
        "a reference point that is gone means comparing",
        "model/scopes.py",
        "(not evidence.tracking_point_alive, Reason.TRACKING_POINT_GONE),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "a disk without a tracking id is compared",
        "model/scopes.py",
        "(evidence.rct_id is None, Reason.NO_TRACKING_POINT),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "a checkpoint that was applied on the source means comparing",
        "model/scopes.py",
        "(not stands_on(frozen.chain, disk.source_chain), Reason.SOURCE_CHAIN_CHANGED),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "an unfinished copy is compared",
        "model/scopes.py",
        "(disk.content is Content.UNKNOWN, Reason.UNFINISHED_COPY),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "a touched leaf is compared",
        "model/scopes.py",
        "(not evidence.leaf_untouched, Reason.LEAF_TOUCHED),",
        "",
        "unit/model/test_scopes.py::test_any_doubt_leads_to_a_compare_that_names_it",
    ),
    Mutation(
        "any error of change tracking means comparing",
        f"{REPLICATE}/transfer.py",
        "except (TrackingLost, KeyError) as error:",
        "except KeyError as error:",
        f"{SESSION}/test_source_changes.py::test_lost_tracking_is_compared_and_tracked_again",
    ),
    Mutation(
        "a disk that a checkpoint lacks is never skipped",
        "model/inspection.py",
        "    if missing:",
        "    if False:",
        "unit/model/test_inspection.py::test_disk_that_a_checkpoint_lacks_is_never_skipped",
    ),
    Mutation(
        "a disk is known by its id, never by slot or path",
        "model/scopes.py",
        "disk.disk_id == frozen.disk_id",
        "disk.slot == frozen.slot",
        "unit/model/test_scopes.py::test_disk_that_only_moved_to_another_slot_is_kept",
    ),
    # The source is never put at risk.
    Mutation(
        "no checkpoint without room for what the guest writes meanwhile",
        f"{REPLICATE}/machine.py",
        "            claim_room(work, work.config.disks)\n",
        "",
        f"{SESSION}/test_free_space.py::test_room_for_what_the_guest_will_write_is_asked_for",
    ),
    Mutation(
        "machines of a session do not count on the same room",
        f"{REPLICATE}/space.py",
        "others=others, what=what",
        "others=0, what=what",
        "unit/services/test_space.py::test_machines_of_a_session_do_not_count_on_the_same_room",
    ),
    Mutation(
        "what the host says has changed must fit before it is sent",
        f"{REPLICATE}/transfer.py",
        "    _claim_room_for(work, frozen, orders)\n",
        "",
        f"{SESSION}/test_free_space.py::test_what_changed_is_known_before_it_is_sent",
    ),
    Mutation(
        "a record that is gone is not another session's",
        f"{REPLICATE}/records.py",
        'not in ("fenced", "file_missing") or not self.taken or self._is_there()',
        "in (error.reason,)",
        f"{SESSION}/test_bad_input_midway.py::test_transfer_under_way",
    ),
    Mutation(
        "a volume that fills up ends the session",
        f"{REPLICATE}/watch.py",
        "            self._look_at_space()\n",
        "            pass\n",
        f"{SESSION}/test_bad_input.py::test_volume_that_fills_up_while_the_machine_is_frozen",
    ),
    Mutation(
        "a session that fails removes its checkpoint",
        f"{REPLICATE}/source.py",
        "remove_named(work, pending.checkpoint_name)",
        "return",
        f"{SESSION}/test_dead_sessions.py::test_cancelled_session_leaves_nothing_on_the_source_and_goes_on_later",
    ),
    Mutation(
        "the host removes the checkpoint of a session that stopped extending its lease",
        "tests/lab/hyperv/fences.py",
        "not self.lease_seconds(machine.vm_id, checkpoint, now=now)",
        "False",
        "unit/lab/test_fences.py::test_lease_is_extended_and_ends_by_the_clock_of_the_host",
    ),
    Mutation(
        "a session that lives extends the lease of its checkpoint",
        f"{REPLICATE}/watch.py",
        "            _Lease(hold_source, every=renewal_seconds(limits.checkpoint_seconds), now=now),\n",
        "",
        f"{SESSION}/test_main_line.py::test_leases_are_renewed_while_a_session_lives",
    ),
    Mutation(
        "only what was read while the checkpoint was there becomes a restore point",
        f"{REPLICATE}/transfer.py",
        "    require_frozen(work)\n    work.intend(",
        "    work.intend(",
        f"{SESSION}/test_leases.py::test_checkpoint_that_goes_in_the_middle_ends_the_session",
    ),
    Mutation(
        "the host removes the checkpoint of a silent session, and no other",
        "tests/lab/hyperv/fences.py",
        "and not self.lease_seconds(machine.vm_id, checkpoint, now=now)",
        "",
        "unit/lab/test_fences.py::test_lease_is_extended_and_ends_by_the_clock_of_the_host",
    ),
    Mutation(
        "a session into another replica leaves a living checkpoint alone",
        f"{REPLICATE}/source.py",
        "elif found.lease_seconds > 0:",
        "elif False:",
        f"{SESSION}/test_bad_input.py::test_session_into_another_replica_has_the_machine_frozen",
    ),
    # Every step is recorded before it is done, can be repeated, and is found again.
    Mutation(
        "a checkpoint is intended before it is made",
        f"{REPLICATE}/recovery.py",
        "    if found is None:\n        return None\n",
        "    if True:\n        return None\n",
        f"{SESSION}/test_dead_sessions.py::test_resumed_transfer_keeps_its_checkpoint_and_its_cycle",
    ),
    Mutation(
        "what a leaf may hold is recorded before the first byte is written",
        f"{REPLICATE}/transfer.py",
        "    _record(work, orders)\n",
        "",
        f"{SESSION}/test_dead_sessions.py::test_resumed_transfer_keeps_its_checkpoint_and_its_cycle",
    ),
    Mutation(
        "a restore point that is being merged away is no restore point any more",
        "model/retention.py",
        "return replace(_without(record, doomed), removing",
        "return replace(record, removing",
        "unit/model/test_retention.py::test_removal_takes_point_and_cycle_from_the_usable_ones",
    ),
    Mutation(
        "a lost answer is asked for again",
        f"{REPLICATE}/patience.py",
        "        if not (lost or busy):",
        "        if True:",
        "unit/services/test_patience.py::test_lost_calls_are_made_again_and_an_outage_is_told_once",
    ),
    Mutation(
        "a machine is held against other jobs of the same manager",
        f"{REPLICATE}/machine.py",
        "        stack.enter_context(self._alone(machine))\n",
        "",
        f"{SESSION}/test_bad_input.py::test_two_jobs_on_one_machine_at_once",
    ),
    Mutation(
        "a restore point is found again by the id in its name",
        f"{REPLICATE}/recovery.py",
        "if point.name == name), None)",
        "if False), None)",
        f"{SESSION}/test_dead_sessions.py::test_restore_point_of_a_dead_session_is_found_by_its_name_and_old_tracking_goes",
    ),
    Mutation(
        "the old reference point is destroyed after the commit",
        f"{REPLICATE}/settle.py",
        "obsolete = [old.reference_point_id] if old",
        "obsolete = [] if old",
        f"{SESSION}/test_dead_sessions.py::test_restore_point_of_a_dead_session_is_found_by_its_name_and_old_tracking_goes",
    ),
    Mutation(
        "several cycles may end in one restore point",
        "model/retention.py",
        "for cycle_id in point.cycle_ids}",
        "for cycle_id in point.cycle_ids[-1:]}",
        "unit/model/test_retention.py::test_every_cycle_of_a_point_stays_with_it",
    ),
    # Retention.
    Mutation(
        "the oldest restore points go, and the newest never",
        "model/retention.py",
        "max(1, keep)",
        "keep",
        "unit/model/test_retention.py::test_newest_point_is_never_expired",
    ),
    Mutation(
        "pinned restore points are never merged",
        "model/retention.py",
        " if not point.pins",
        "",
        "unit/model/test_retention.py::test_pinned_points_stay_and_do_not_count",
    ),
    Mutation(
        "a session merges a bounded number of restore points",
        f"{REPLICATE}/settle.py",
        "in _due(work)[: limits.merges]:",
        "in _due(work):",
        f"{SESSION}/test_main_line.py::test_session_merges_a_bounded_number_of_points",
    ),
    Mutation(
        "files stay while a restore point needs them",
        "model/retention.py",
        "if not living & set(disk.restore_points) for path",
        "for path",
        "unit/model/test_retention.py::test_files_of_a_retired_disk_stay_while_a_point_needs_them",
    ),
    # Equality.
    Mutation(
        "digests that decide not to send are keyed, another key for each transfer",
        "mover/transfer.py",
        "return keyed_blake3(ticket_key(ticket.secret))(DIGEST_CONTEXT)",
        "return keyed_blake3(bytes(32))(DIGEST_CONTEXT)",
        "unit/mover/test_parts.py::test_each_ticket_has_its_own_keys",
    ),
    # Verification.
    Mutation(
        "what a verification finds bad is sent by the next cycle",
        "model/repairs.py",
        "normalize([*changed, *disk.repairs]",
        "normalize([*changed]",
        "unit/model/test_repairs.py::test_a_cycle_sends_changes_and_repairs",
    ),
    Mutation(
        "repairs are forgotten only with a cycle that knew them",
        "model/repairs.py",
        "sent.repairs == disk.repairs",
        "True",
        "unit/model/test_repairs.py::test_repairs_stay_until_a_cycle_that_knew_them_is_committed",
    ),
    Mutation(
        "what has changed since the restore point is not called bad",
        "mover/comparing.py",
        "return subtract([Extent(0, size)] if size else [], left_out)",
        "return [Extent(0, size)]",
        "unit/mover/test_comparing.py::test_everything_is_all_but_what_is_left_out",
    ),
    Mutation(
        "a restore point that is compared is not written to",
        "mover/functions.py",
        "PointDisk(paths) if read_only else",
        "",
        "integration/mover/test_verify.py::test_equal_disks_are_found_equal_and_are_left_as_they_are",
    ),
    Mutation(
        "files that moved while they were compared say nothing",
        "services/verify/task.py",
        "        require_unmoved(work, chains, point=point)\n",
        "",
        f"{SESSION}/verify/test_disturbed.py::test_files_that_somebody_merges_meanwhile_are_not_called_bad",
    ),
    Mutation(
        "a source that was not frozen to the end says nothing",
        "services/verify/task.py",
        "        require_checkpoint(work, checkpoint.name, checkpoint_id=checkpoint.checkpoint_id)\n",
        "",
        f"{SESSION}/verify/test_disturbed.py::test_source_that_is_not_frozen_any_more_says_nothing",
    ),
)
