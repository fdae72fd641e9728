# Copyright (c) 2026 OpenDR contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The catalog follows the records; without it nothing but history is lost."""

from __future__ import annotations

from ansible_collections.opendr.hyperv.plugins.module_utils._engine.errors import CatalogError
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.reports import Outcome
from ansible_collections.opendr.hyperv.plugins.module_utils._engine.units import MiB


def test_catalog_knows_job_session_and_replica(site):
    report = site.run()
    assert site.catalog.find_job("web") == site.job()
    entry = site.catalog.sessions(job="web")[0]
    assert (entry.session_id, entry.state, entry.result) == (report.session_id, "done", report.as_dict())
    replica = site.catalog.replicas()[0]
    record = site.record()
    assert (replica.replica_id, replica.epoch, replica.restore_point_count) == (record.replica_id, record.epoch, 1)
    assert replica.newest_source_time == record.restore_points[0].source_time


def test_failed_session_is_in_the_index_with_its_error(site):
    site.run()
    site.source.call("lab.fail_vss", count=-1)
    site.run(site.job(consistency="application"))
    assert site.catalog.replicas()[0].last_error["reason"] == "checkpoint_failed"
    assert site.record().last_error.reason == "checkpoint_failed"
    site.source.call("lab.fail_vss", count=0)
    site.run()
    assert site.catalog.replicas()[0].last_error is None


def test_deleted_catalog_loses_history_only(site):
    site.run()
    site.guest_writes(7, 0, 1 * MiB)
    site.catalog.close()
    for file in site.state_dir.glob("catalog.sqlite*"):
        file.unlink()
    site.catalog = site.open_catalog()
    report = site.run()
    assert {disk.reason for disk in report.machines[0].disks} == {"tracked"}
    assert len(site.catalog.sessions()) == 1
    assert site.catalog.replicas()[0].restore_point_count == 2
    site.prove(points=2)


def test_catalog_that_fails_does_not_stop_a_session(site):
    class Broken:
        def __getattr__(self, name):
            def fail(*_arguments, **_named):
                raise CatalogError("disk I/O error")

            return fail

    report = site.run(site=site.site(catalog=Broken()))
    assert report.outcome is Outcome.DONE
    assert any("the catalog does not follow" in text for text in site.journal.texts)
    site.prove(points=1)
