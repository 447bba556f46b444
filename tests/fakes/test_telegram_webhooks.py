"""How the fake Bot API brings updates to a webhook: each of them, whatever else happens at that moment."""

import asyncio

from tests.fakes.telegram.webhooks import Webhooks
from tests.fakes.telegram.world import Webhook, World


class Taking(Webhooks):
    """A webhook that takes everything after a turn of the loop."""

    async def _call(self, bot, update):
        await asyncio.sleep(0)
        self.attempts.append((update["update_id"], 200))


def test_an_update_that_comes_as_the_last_one_is_taken_is_brought_too():
    world = World()
    bot = world.bot()

    async def story() -> list[int]:
        webhooks = Taking(world)
        bot.webhook = Webhook("http://127.0.0.1:1/")
        webhooks.add(bot, 1, {"update_id": 1, "message": {}})
        [task] = webhooks._tasks
        while not task.done():
            await asyncio.sleep(0)
        assert webhooks._tasks, "it has ended, and is not forgotten yet"
        webhooks.add(bot, 1, {"update_id": 2, "message": {}})
        await asyncio.gather(*[one for one in webhooks._tasks if not one.done()])
        return [number for number, _ in webhooks.attempts]

    assert asyncio.run(story()) == [1, 2]
    assert bot.pending == 0
