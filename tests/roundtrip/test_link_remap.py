"""--link-remap: files deleted under the name they were opened by, with another hard link."""
import os


def remap_links(victim):
    return [name for name in os.listdir(victim.folder) if name.startswith("link_remap.")]


def test_refused_without_the_option(test):
    victim = test.victim("linked_elsewhere")
    test.dump(victim, test.path("images")).failed(3, "another hard link", "--link-remap")
    test.check(not remap_links(victim), "a link was made")
    victim.verdict()


def test_link_lasts_until_the_restore(test):
    victim = test.victim("linked_elsewhere")
    before = victim.snapshot()
    test.dump_and_end(victim, test.path("images"), "--link-remap")
    test.check(len(remap_links(victim)) == 1, f"links: {remap_links(victim)}")
    test.restore_detached(victim, test.path("images"))
    test.check(not remap_links(victim), f"left behind: {remap_links(victim)}")
    test.compare_restored(before, victim.snapshot())
    victim.verdict()


def test_failed_dump_takes_its_link_away(test):
    victim = test.victim("linked_elsewhere")
    test.dump(victim, "/proc/self/no-such-folder", "--link-remap").failed(1)
    test.check(not remap_links(victim), f"left behind: {remap_links(victim)}")
    test.dump(victim, test.path("images"), "--link-remap", "--dry-run").ok()
    test.check(not remap_links(victim), f"left behind: {remap_links(victim)}")
    victim.verdict()
