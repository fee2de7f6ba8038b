from __future__ import annotations

import pytest
from markup import XSS
from playwright.sync_api import Browser, Page, expect

from zhiliu.store import Store
from zhiliu.types import Event, EventType


def logged(page: Page, store: Store, kind: EventType, count: int = 1) -> list[Event]:
    """Wait until ``count`` events of this type are in the log."""
    for _ in range(150):
        found = [one.event for one in store.events.read(0, 10_000) if one.event.type is kind]
        if len(found) >= count:
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"{len(found)} {kind} events in the log, not {count}")


def cards(page: Page) -> list[str]:
    return [str(card.get_attribute("data-video")) for card in page.locator(".card").all()]


def open_feed(page: Page, path: str = "/?person_id=7") -> None:
    page.goto(path)
    expect(page.locator(".card").first).to_be_visible()


def test_cards_show_what_the_feed_serves(page: Page) -> None:
    open_feed(page)
    first = page.locator(".card").first
    expect(first.locator("h2")).not_to_be_empty()
    expect(first.locator(".meta")).to_contain_text("1:01")
    expect(first.locator(".reasons li").first).not_to_be_empty()


def test_only_cards_that_were_seen_become_impressions(page: Page, store: Store) -> None:
    open_feed(page)
    seen = logged(page, store, EventType.IMPRESSION)
    page.wait_for_timeout(1500)
    seen = logged(page, store, EventType.IMPRESSION)
    shown = cards(page)
    assert 1 <= len(seen) <= 3  # a phone shows no more
    assert {event.video_id for event in seen} <= set(shown[:3])
    assert all(event.person_id == "7" and event.request_id for event in seen)
    page.locator(".card").nth(6).scroll_into_view_if_needed()
    logged(page, store, EventType.IMPRESSION, len(seen) + 1)


def test_a_like_and_its_taking_back_reach_the_log(page: Page, store: Store) -> None:
    open_feed(page)
    like = page.locator(".card").first.locator("[data-do=like]")
    like.click()
    expect(like).to_have_attribute("aria-pressed", "true")
    (event,) = logged(page, store, EventType.LIKE)
    assert event.video_id == cards(page)[0]
    like.click()
    (event,) = logged(page, store, EventType.UNLIKE)
    assert event.video_id == cards(page)[0]


def test_a_hidden_card_goes_at_once_and_the_log_learns_it(page: Page, store: Store) -> None:
    open_feed(page)
    hidden = cards(page)[0]
    page.locator(".card").first.locator("[data-do=hide]").click()
    assert hidden not in cards(page)
    (event,) = logged(page, store, EventType.HIDE)
    assert event.video_id == hidden


def test_an_undone_hide_brings_the_card_back_and_never_happened(page: Page, store: Store) -> None:
    open_feed(page)
    before = cards(page)[:3]
    page.locator(".card").nth(1).locator("[data-do=hide]").click()
    page.locator("#toast button").click()
    assert cards(page)[:3] == before
    page.locator(".card").first.locator("[data-do=like]").click()
    logged(page, store, EventType.LIKE)
    page.wait_for_timeout(7000)
    assert [one for one in store.events.read(0, 1000) if one.event.type is EventType.HIDE] == []


def test_scrolling_brings_every_video_once_and_then_an_end(page: Page) -> None:
    open_feed(page)
    for _ in range(60):
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
        if page.get_by_text("到这里就看完了").count():
            break
    expect(page.get_by_text("到这里就看完了")).to_be_visible()
    found = cards(page)
    assert len(found) == len(set(found)) == 45


def test_markup_in_titles_authors_and_topics_is_shown_as_text(page: Page) -> None:
    open_feed(page)
    for _ in range(20):
        page.mouse.wheel(0, 4000)
        page.wait_for_timeout(50)
    owned = page.locator("h2", has_text="onerror").first
    expect(owned).to_have_text(XSS)
    assert page.locator(".card img, .card script").count() == 0
    assert page.title() != "owned"


def test_markup_in_the_person_of_the_address_is_shown_as_text(page: Page) -> None:
    page.goto(f"/?person_id={XSS}")
    expect(page.locator("#person_id")).to_have_value(XSS)
    assert page.title() != "owned"


def test_the_language_switch_changes_words_and_is_remembered(page: Page) -> None:
    open_feed(page)
    expect(page.locator("h1")).to_have_text("为你推荐")
    page.locator("#language").click()
    expect(page.locator("h1")).to_have_text("For you")
    assert page.locator("html").get_attribute("lang") == "en"
    assert "person_id=7" in page.url
    page.goto("/")
    expect(page.locator("h1")).to_have_text("For you")


def test_the_appearance_switch_is_remembered(page: Page) -> None:
    open_feed(page)
    page.locator("#theme").click()
    page.locator("#theme").click()
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(20, 23, 26)"


def test_keys_move_like_hide_and_ask_why(page: Page) -> None:
    open_feed(page)
    first, second = cards(page)[:2]
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert page.evaluate("document.activeElement.dataset.video") == second
    page.keyboard.press("l")
    expect(page.locator(".card").nth(1).locator("[data-do=like]")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("k")
    page.keyboard.press("h")
    assert first not in cards(page)
    assert page.evaluate("document.activeElement.dataset.video") == second
    page.keyboard.press("w")
    expect(page.locator("dialog#why")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("dialog#why")).to_be_hidden()


def test_keys_do_nothing_while_somebody_types(page: Page) -> None:
    open_feed(page)
    before = cards(page)
    page.locator("#person_id").click()
    page.keyboard.type("hlw")
    assert cards(page) == before
    expect(page.locator("dialog#why")).to_be_hidden()


def test_why_tells_in_words(page: Page) -> None:
    open_feed(page)
    page.locator(".card").first.locator("[data-do=why]").click()
    expect(page.locator("dialog#why h3").first).to_have_text("理由")
    expect(page.locator("dialog#why li").first).not_to_be_empty()
    expect(page.locator("dialog#why")).to_contain_text("策略")


def test_another_person_can_be_chosen(page: Page, store: Store) -> None:
    open_feed(page)
    page.locator("#person_id").fill("8")
    page.locator("#person button").click()
    page.wait_for_url("**/?person_id=8")
    page.locator(".card").first.locator("[data-do=like]").click()
    assert logged(page, store, EventType.LIKE)[0].person_id == "8"


def test_a_guest_keeps_one_session(page: Page, store: Store) -> None:
    open_feed(page, "/")
    page.locator(".card").first.locator("[data-do=like]").click()
    logged(page, store, EventType.LIKE)
    page.reload()
    page.locator(".card").first.locator("[data-do=like]").click()
    first, second = logged(page, store, EventType.LIKE, 2)
    assert first.session_id == second.session_id
    assert first.session_id


def test_an_empty_catalogue_is_said_kindly(page: Page) -> None:
    hidden = [{"video_id": f"{i}", "author_id": "a", "status": "hidden"} for i in range(45)]
    assert page.request.post("/api/v1/videos/batch", data=hidden).ok
    page.goto("/?person_id=7")
    expect(page.locator("#state h2")).to_have_text("还没有可以看的视频")


def test_a_failing_server_is_said_with_a_way_to_retry(browser: Browser, address: str) -> None:
    context = browser.new_context(base_url=address, locale="en-US")
    page = context.new_page()
    page.route("**/api/v1/feed?**", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_role("alert")).to_contain_text("The videos could not be fetched")
    page.unroute("**/api/v1/feed?**")
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".card").first).to_be_visible()
    context.close()


@pytest.mark.parametrize("size", [(360, 640), (768, 1024), (1920, 1080)])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_nothing_overflows_sideways(page: Page, size: tuple[int, int], language: str) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    open_feed(page, f"/?person_id=7&lang={language}")
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_every_control_has_a_name_and_is_large_enough(page: Page) -> None:
    open_feed(page)
    for control in page.locator("header button, header a.quiet, .card button").all():
        assert (control.text_content() or "").strip()
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44
    assert page.locator("[role=feed]").get_attribute("aria-busy") == "false"
    assert page.locator(".card").nth(1).get_attribute("aria-posinset") == "2"
