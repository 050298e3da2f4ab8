"""What words say of people: kinds of words that a sentence of hate is made of, and those that speak against it.

Written by hand from what the words mean, so that a model learns of kinds what it could not learn of each word.
"""

GROUP = "<group>"
"""Whom a sentence is about, whoever it is."""

_GROUPS = """
    women woman girls girl females female men males immigrants immigrant migrants migrant refugees refugee foreigners
    foreigner gays gay lesbians lesbian homosexuals homosexual queers queer trans transgender transsexual transsexuals
    bisexual bisexuals nonbinary muslims muslim islam arabs arab jews jew jewish christians christian hindus hindu sikhs
    sikh buddhists blacks black africans african asians asian chinese mexicans mexican latinos latino latinas latina
    hispanics hispanic pakistanis pakistani indians indian whites white roma gypsies gypsy disabled disabilities
    disability autistic
"""
GROUPS = frozenset(_GROUPS.split())

SLUR = "<slur>"
_KINDS = {
    SLUR: """
        nigger niggers nigga fag fags faggot faggots dyke dykes tranny trannies shemale shemales cripple cripples retard
        retards retarded wetback wetbacks muzzie muzzies coon coons paki pakis chink chinks gook gooks kike kikes spic
        spics beaner beaners raghead ragheads towelhead jihadi jihadis spastic mongoloid negro negroes whore whores slut
        sluts
    """,
    "<insult>": """
        scum trash garbage vermin parasite parasites rat rats cockroach cockroaches maggots lice snakes hyenas pig pigs
        animal animals beast beasts swine dogs mongrels monkey monkeys ape apes leech leeches insect insects filth dirt
        mud waste refuse disease diseases cancer plague pest pests virus tumor tumour burden subhuman subhumans savage
        savages barbarians lowlife lowlifes thugs freak freaks monster monsters devils degenerate degenerates perverts
        deviants predators criminal criminals liar liars thief thieves rapist rapists terrorist terrorists murderers
        traitors traitor cowards coward loser losers fool fools idiot idiots moron morons imbeciles failure failures
        disgusting revolting repulsive repugnant sickening gross nasty filthy dirty vile abhorrent loathsome despicable
        deplorable abominable abomination rotten toxic stupid dumb dumber dumbest idiotic ignorant brainless clueless
        irrational hysterical inferior lesser worthless useless pathetic incapable incompetent evil wicked violent cruel
        dishonest deceitful lazy greedy corrupt immoral ugly creepy crazy insane primitive uncivilised uncivilized
        backward backwards unnatural abnormal weak annoying hateful shameful disgrace shame threat danger dangerous
        poison sick worse worst awful horrible terrible mistake nothing
    """,
    "<hatred>": """
        hate hates hated hating despise despises despised loathe loathes detest detests abhor abhors disgust disgusts
        disgusted contempt disdain rage hatred resent angry furious repulsed repulses sickened sickens offended mad
        annoyed
    """,
    "<violence>": """
        kill kills killed killing shoot shot hang hanged hung stab stabbed murder murdered murdering slaughter
        slaughtered eradicate eradicated exterminate exterminated eliminate eliminated burn burned burnt rape raped
        beat beaten punch punched hurt harm attack gas gassed execute executed die dead death destroy destroyed strangle
        strangled choke choked drown drowned throat throats neck bomb bombed wiped extinct punish punished lynch lynched
        torture tortured suffer behead beheaded smash smashed snap cut break end rid lock locked cage cages zoo landfill
        dumped sterilised sterilized castrated
    """,
    "<praise>": """
        happy proud amazing awesome fantastic great wonderful lovely good better best excellent brilliant beautiful
        kind nice smart intelligent talented strong brave successful love loves loved respect respects respected
        embrace welcome welcomed admire admired adore cherish appreciate appreciated celebrate celebrated support
        supports supported protect protected help helped friend friends joy glad delighted pleasure grateful thankful
        blessed honoured honored inspiring inspired inspire valued valuable equals smile
    """,
    "<not>": """
        no not never none nobody neither nor without cannot can't won't don't doesn't didn't isn't aren't wasn't weren't
        shouldn't wouldn't couldn't haven't hasn't ain't
    """,
    "<speech>": """
        say says saying said write writes writing written wrote call calls calling called claim claims claiming claimed
        tell telling tweet tweets post posts posting statement statements phrase phrases word words speech comment
        comments slogan chant shouting hear hearing heard believe suggest suggesting argue threatening things stuff
    """,
    "<profanity>": """
        fuck fucks fucked fucking fucker fuckers motherfucker motherfuckers shit shitty bullshit crap bastard bastards
        asshole assholes arse ass dickhead dickheads prick pricks cunt cunts bitch bitches scumbag scumbags dumbass
        dumbasses damn goddamn bloody piss pissed twat wanker
    """,
    "<we>": "i i'm i've i'll i'd we we're we've we'll my our me us let's",
    "<they>": "they they're them their these those such people kind all every most",
}
KINDS = {word: kind for kind, words in _KINDS.items() for word in words.split()} | dict.fromkeys(GROUPS, GROUP)
"""The kind of a word, by word."""

OF_PEOPLE = frozenset(word for word, kind in KINDS.items() if kind in {GROUP, SLUR})
