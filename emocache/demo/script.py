"""What the demo corpus says and how: voices, prosody and sentences, as data.

The emotion of a turn shows in its words and in its voice, and either can mislead without the other: words may fit two
emotions (anger and sadness share some, joy and calm others) or any, and the voice may be that of an emotion with a
similar level of arousal. So words alone and speech alone are each right more often than not, and both together mostly.
"""

from collections.abc import Mapping
from dataclasses import dataclass

SESSIONS = (1, 2, 3, 4, 5)
EMOTIONS = ("ang", "hap", "exc", "sad", "neu")
TURNS_PER_KIND = 6
"""Turns per voice, emotion and kind (improvised, scripted)."""

EXTRA = {"impro": "xxx", "script": "fru"}
"""One turn per voice and kind whose label the four-class schemes leave out."""

DIALOGUES = ("F_impro01", "F_impro05a", "M_impro02", "M_impro05b", "F_script01_1", "F_script02_2", "M_script01_1b", "M_script03_2")
"""Of each session; the letter says who wore the markers, both voices speak in every dialogue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """A speaker: a voice of espeak-ng, its habitual pitch, and its speed relative to the others."""

    name: str
    pitch: int = 50
    speed: float = 1.0


VOICES: Mapping[tuple[int, str], Voice] = {
    (1, "F"): Voice(name="en-us+f1", pitch=45, speed=1.02),
    (1, "M"): Voice(name="en-us+m1", pitch=50, speed=0.98),
    (2, "F"): Voice(name="en-us+f2", pitch=50, speed=0.95),
    (2, "M"): Voice(name="en-us+m3", pitch=46, speed=1.05),
    (3, "F"): Voice(name="en-us+f3", pitch=42, speed=1.0),
    (3, "M"): Voice(name="en-us+m4", pitch=48, speed=0.94),
    (4, "F"): Voice(name="en-us+f4", pitch=48, speed=1.06),
    (4, "M"): Voice(name="en-us+m7", pitch=52, speed=1.0),
    (5, "F"): Voice(name="en-us+steph", pitch=46, speed=0.97),
    (5, "M"): Voice(name="en-us+m8", pitch=50, speed=1.03),
}
"""By session and gender."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """Means of what an emotion sounds like; `pitch` is relative to the voice, the rest in units of espeak-ng."""

    rate_wpm: int
    pitch: int
    pitch_range: int
    volume: int
    word_gap: float


DELIVERY: Mapping[str, Delivery] = {
    "ang": Delivery(rate_wpm=226, pitch=2, pitch_range=62, volume=150, word_gap=0.0),
    "hap": Delivery(rate_wpm=206, pitch=16, pitch_range=78, volume=110, word_gap=0.2),
    "exc": Delivery(rate_wpm=226, pitch=24, pitch_range=88, volume=125, word_gap=0.0),
    "sad": Delivery(rate_wpm=164, pitch=-14, pitch_range=18, volume=60, word_gap=1.8),
    "neu": Delivery(rate_wpm=192, pitch=-3, pitch_range=42, volume=90, word_gap=0.5),
    "fru": Delivery(rate_wpm=206, pitch=0, pitch_range=55, volume=120, word_gap=0.5),
    "xxx": Delivery(rate_wpm=198, pitch=3, pitch_range=50, volume=100, word_gap=0.5),
}

SPREAD = Delivery(rate_wpm=14, pitch=6, pitch_range=11, volume=14, word_gap=0.7)
"""Standard deviations around them, from turn to turn."""

SOUNDS_LIKE: Mapping[str, tuple[str, ...]] = {
    "ang": ("hap", "exc"),
    "hap": ("ang",),
    "exc": ("ang",),
    "sad": ("neu",),
    "neu": ("sad",),
}
"""Whose delivery an emotion borrows, in a share of `BORROWED` of its turns."""

BORROWED = 0.35

WORDING: Mapping[str, float] = {"own": 0.35, "shared": 0.5, "open": 0.15}
"""Shares of turns whose words are typical of their emotion, fit two emotions, or say nothing of either."""

SHARED: Mapping[str, str] = {"ang": "bad", "sad": "bad", "fru": "bad", "hap": "good", "exc": "good", "neu": "good"}
"""Which of the sentences that fit two emotions an emotion takes; what has none here takes from `open`."""

FILLERS: Mapping[str, tuple[str, ...]] = {
    "person": (
        "my brother", "my sister", "our neighbour", "the landlord", "my boss", "the new doctor", "my cousin",
        "your mother", "his nurse", "my teacher", "his wife", "the driver",
    ),
    "thing": (
        "the car", "the letter", "the apartment", "the money", "the wedding", "the report", "the ticket", "the garden",
        "the phone call", "the dog", "the contract", "the old piano",
    ),
    "place": (
        "the station", "the beach", "the hospital", "the office", "the airport", "the kitchen", "the market",
        "the library", "Chicago", "the lake",
    ),
    "time": (
        "this morning", "on Sunday", "on Friday", "at noon", "today", "this afternoon", "after lunch", "in the evening",
    ),
    "furious": ("furious", "sick of it", "outraged", "done with you", "fed up", "so angry"),
    "insult": ("a liar", "a coward", "unbelievable", "so selfish", "completely useless", "a fraud"),
    "glad": ("glad", "happy", "pleased", "relieved", "cheerful", "thankful"),
    "nice": ("lovely", "sweet", "funny", "charming", "delightful", "kind"),
    "wow": ("amazing", "fantastic", "incredible", "wonderful", "thrilling", "awesome"),
    "grief": ("lonely", "miserable", "empty", "heartbroken", "so tired", "lost"),
    "loss": ("passed away", "left me", "never came home", "said goodbye", "got very ill", "stopped calling"),
    "fact": ("on the second floor", "in the blue folder", "open until six", "five minutes away", "on the list"),
    "form": ("the form", "the address", "your passport", "the receipt", "the timetable", "the file number"),
}  # fmt: skip
"""What may stand for a name in braces."""

IMPROVISED: Mapping[str, tuple[str, ...]] = {
    "ang": (
        "How dare you talk to {person} like that.",
        "I am {furious} and I will not apologise for {thing}.",
        "You are {insult} and you ruined {thing}.",
        "Stop lying to me about {thing} right now.",
        "Get out of {place} and leave {person} alone.",
        "I told you many times, do not touch {thing}.",
        "{person} is {insult} and I am {furious}.",
        "Shut up and give me {thing} back.",
    ),
    "hap": (
        "I am so {glad} that {person} liked {thing}.",
        "It was {nice} to see {person} smile {time}.",
        "Everybody laughed and {person} was really {nice}.",
        "Thank you, that makes me very {glad}.",
        "What a {nice} surprise from {person} {time}.",
        "I feel {glad} whenever I walk to {place}.",
        "We had a {nice} dinner near {place} {time}.",
        "I love how {nice} {thing} looks now.",
    ),
    "exc": (
        "Oh my god, {person} got married, it is {wow}.",
        "Guess what, I won {thing}, this is {wow}.",
        "I cannot wait, we are flying to {place} {time}.",
        "Yes, they accepted me, it is {wow}.",
        "This is {wow}, I got the job at {place}.",
        "You should have seen it, {thing} was {wow}.",
        "I am going to scream, {person} said yes {time}.",
        "It is {wow}, we are having a baby.",
    ),
    "sad": (
        "I miss {person} so much, I feel {grief}.",
        "{person} {loss} and I cannot stop crying.",
        "I feel {grief} since {person} {loss}.",
        "There is nothing left for me at {place}.",
        "I just wish {person} was still here.",
        "I cried about {thing} {time}, I am {grief}.",
        "I am sorry, I feel so {grief} without {person}.",
        "We buried him near {place} {time}.",
    ),
    "neu": (
        "You will find {form} {fact}.",
        "Please fill in {form} and wait at {place}.",
        "I usually go to {place} and read {form}.",
        "The desk is {fact}, next to {place}.",
        "Could you spell {form} for me, please.",
        "I need a copy of {form} for {person}.",
        "Turn left after {place}, it is {fact}.",
        "We moved {form}, it is {fact} now.",
    ),
    "bad": (
        "I cannot believe {person} did this to me {time}.",
        "In all these years {person} never asked about {thing}.",
        "It is over, {person} took {thing} from me.",
        "Nobody told me about {thing} until {time}.",
        "They fired me {time}, after twelve years.",
        "Nothing is ever going to be right with {thing} again.",
        "You promised me {thing} and now it is gone.",
    ),
    "good": (
        "{person} is coming to {place} with us {time}.",
        "I finished {thing} {time}, so it is all done.",
        "They said {thing} will be ready {time}.",
        "I met {person} at {place}, we talked about {thing}.",
        "We are going to {place} with {person} again.",
        "Somebody found {thing} and brought it to {place}.",
        "{person} wants to show you {thing} {time}.",
    ),
    "open": (
        "Do you know what {person} said about {thing}.",
        "I was at {place} {time} when {person} called.",
        "Then {person} looked at me and asked about {thing}.",
        "Well, I did not expect {thing} at {place}.",
        "So that is what happened with {thing} {time}.",
        "I have been thinking about {thing} since {time}.",
        "Did you hear about {person} and {thing}.",
        "I want you to tell {person} about {thing}.",
        "Listen, I have to talk to you about {person}.",
    ),
}
"""Sentences of improvised turns: by emotion, fitting two (`bad`, `good`), or any (`open`)."""

SCRIPTED: Mapping[str, tuple[str, ...]] = {
    "ang": (
        "Why do you always have to ruin everything for me.",
        "Get your hands off me and get out of my house.",
        "I hate the way you laugh at me, you brute.",
        "Don't you dare blame me for your stupid mistakes.",
        "I will not be insulted in my own home.",
    ),
    "hap": (
        "You always make me laugh, do you know that.",
        "I love this old song, we danced to it.",
        "It feels so good to be home with you.",
        "That was the nicest evening of my whole life.",
        "You look beautiful in that dress, my darling.",
    ),
    "exc": (
        "We did it, we really did it, we won.",
        "Look at the lights, it's like magic, come on.",
        "I'm going to be famous, I just know it.",
        "Pack your bags, we're leaving for Paris tonight.",
        "Marry me, Annie, I want to shout it from the roof.",
    ),
    "sad": (
        "He's not coming back, Mother, he's dead.",
        "I sit by the window and I cry every night.",
        "I have lost everything that I ever loved.",
        "The house is so quiet since he was killed.",
        "I don't think I can go on without him.",
    ),
    "neu": (
        "The train on platform four leaves at half past six.",
        "Would you like milk or sugar in your coffee.",
        "I put the newspaper on the table by the door.",
        "There are two rooms upstairs and one down here.",
        "My father has run the factory for thirty years.",
    ),
    "bad": (
        "You never wrote to me, not even one letter.",
        "Three years, and this is how it ends.",
        "Don't say his name in front of me again.",
        "You don't love me, you never loved me.",
        "What did I do to deserve this.",
    ),
    "good": (
        "George is coming on the evening train to see us.",
        "I've got something to tell you about the summer.",
        "They're playing our tune down at the hotel.",
        "I asked him to stay for dinner with the family.",
        "She's upstairs getting dressed for the party.",
    ),
    "open": (
        "Do you remember the night we came here first.",
        "I've been thinking about what you told me.",
        "Look at me when I'm talking to you.",
        "I want you to know what I think of you.",
        "What time is it, how long have we been here.",
        "Nobody in this house knows about it yet.",
    ),
}
"""Sentences of scripted turns, the same in every session."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rating:
    """How evaluators hear an emotion: its name, and the means of their ratings from 1 to 5."""

    name: str
    valence: float
    activation: float
    dominance: float


RATINGS: Mapping[str, Rating] = {
    "ang": Rating(name="Anger", valence=1.9, activation=3.9, dominance=4.0),
    "hap": Rating(name="Happiness", valence=4.0, activation=3.2, dominance=3.1),
    "exc": Rating(name="Excited", valence=4.3, activation=4.0, dominance=3.5),
    "sad": Rating(name="Sadness", valence=2.0, activation=2.2, dominance=2.5),
    "neu": Rating(name="Neutral", valence=3.0, activation=2.6, dominance=2.8),
    "fru": Rating(name="Frustration", valence=2.3, activation=3.1, dominance=3.3),
    "xxx": Rating(name="Other", valence=2.8, activation=3.0, dominance=3.0),
}
