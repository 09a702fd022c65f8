"""Text for the recordings: topics, transcript snippets and messages in several languages."""

from __future__ import annotations

TOPICS = (
    "Project Management",
    "Order Placement",
    "Pricing",
    "Complaint",
    "Onboarding",
    "Technical Support",
    "Market Color",
    "Settlement",
    "Travel",
    "Recruitment",
)

PHASES = ("Opening", "Discussion", "Negotiation", "Hold", "Agreement", "Closing")

CALL_SNIPPETS = (
    "The call focused on {topic}. {name} will send the figures by Thursday.",
    "{name} opened with a summary of {topic} and asked for a decision this week.",
    "Both sides went through {topic}; two points stay open until legal has answered.",
    "A short check-in on {topic}. Nothing was agreed.",
    'The client said: "we expected this in March" & asked about {topic} — {name} apologized.',
    "{name} confirmed a size of 250,000 at 101.25 and read the order back. Topic: {topic}.",
    "Im Gespräch ging es um {topic}. {name} meldet sich bis Freitag zurück.",
    "La llamada trató de {topic}. ¿Queda pendiente el contrato? {name} lo confirma mañana.",
    "L'échange a porté sur {topic} ; {name} doit vérifier l'échéancier.",
    "Rozmowa dotyczyła tematu: {topic}. {name} prześle umowę jeszcze dziś.",
    "双方讨论了{topic},{name}将在下周提交报告。",
    "Cuộc gọi bàn về {topic}. {name} sẽ gửi lại báo giá.",
)

MESSAGES = (
    "Running ten minutes late, start without me",
    "Can you call me back about {topic}? Thanks, {name}",
    "Done 👍",
    "{topic}: see the notes from yesterday.\nShall we say 14:30?",
    "Please don't quote before the desk has signed off. {name}",
    "Filled 40 of 100 at 99.875, working the rest",
    "Is the {topic} meeting still on? ☕",
    "Ich schaue es mir gleich an und melde mich.",
    "Vale, quedamos así. Un saludo, {name}",
    "Merci, bien reçu !",
    "好的,明天见。",
    "Dạ vâng, em gửi anh ngay ạ.",
)

PRIVATE_REASONS = (
    "Personal call",
    "Conversation with Human Resources",
    "Marked private by the participant",
    "Medical matter",
)

LEGAL_HOLDS = (
    "Heron: supplier dispute",
    "Regulator's request 2025/17",
    "Kestrel: leaver review",
    "Client complaint 4471",
)
