"""What synthetic clips talk about: abstract nouns that no picture, sound or movement could show.

The sentences around them hold no other noun, so a transcript's noun set is exactly what was drawn. Both lists
keep away from every word of `vocabulary`; a test holds them apart.
"""

from __future__ import annotations

_NOUNS = """
ability absence abundance accuracy achievement admiration adulthood advantage adversity affection
agreement ambiguity ambition amnesty analogy anarchy anxiety apology appetite arrogance astronomy
authority autonomy awareness belief benevolence betrayal biology boredom bravery brotherhood bureaucracy
capitalism caution celebrity certainty charity chemistry childhood citizenship civility clarity
coincidence comedy commitment community compassion competence complexity confession confidence
consciousness consequence conspiracy courage courtesy creativity credibility cruelty curiosity dedication
democracy dependence despair destiny devotion dignity diligence diplomacy disagreement disappointment
discipline discovery dishonesty diversity economy education efficiency elegance eloquence empathy
enthusiasm equality eternity evidence evolution existence expertise failure fairness faith fantasy
fatigue fertility forgiveness fortune freedom friendship frustration generosity geography gossip grammar
gratitude gravity greed grief happiness hardship heritage heroism hesitation history honesty honor
hospitality humanity humility hunger hypocrisy ideology ignorance imagination immunity independence
inequality inflation innocence inspiration integrity intelligence intuition irony jealousy justice
kindness knowledge leadership legacy leisure liberty literacy literature loneliness longevity loyalty
luxury maturity mediocrity mercy misery modesty monarchy morality motherhood mythology necessity nobility
nostalgia obedience obligation opportunity optimism originality ownership patience patriotism peace
perfection perseverance persistence pessimism philosophy piety poetry politeness popularity poverty
prejudice privacy privilege productivity prosperity prudence psychology punctuality purity reality
redemption reliability religion reluctance remorse reputation responsibility revenge sacrifice sincerity
solitude vanity
"""

NOUNS: tuple[str, ...] = tuple(_NOUNS.split())

SENTENCES: dict[int, tuple[str, ...]] = {
    1: (
        "We should never forget {0}.",
        "She says that {0} is important.",
        "He wrote about {0} again and again.",
        "They have been arguing about {0}.",
        "I think that {0} is rare.",
        "You cannot buy {0}.",
        "Without {0} we are lost.",
        "It was {0} that saved us.",
        "Let us speak about {0}.",
        "I have learned to accept {0}.",
        "Why did they not tell us about {0}?",
        "He has never understood {0}.",
    ),
    2: (
        "We were looking for {0} and {1}.",
        "I would rather have {0} than {1}.",
        "There is no {0} without {1}.",
        "He often confused {0} with {1}.",
        "They promised us {0} and also {1}.",
        "She talked about {0}, never about {1}.",
        "I believe that {0} is older than {1}.",
        "You have to choose between {0} and {1}.",
    ),
    3: (
        "We spoke about {0}, {1} and {2}.",
        "They asked for {0}, {1} and {2}.",
        "She wanted {0} and {1}, but he preferred {2}.",
        "We asked for {0} and {1}, and they gave us {2}.",
    ),
}
