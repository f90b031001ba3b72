// The tabs a new visitor finds: the main stories in the order in which they are lived.
// What stands for an id in the variables is replaced as soon as the server has told of
// a campaign and a connection that the token may see.

export const placeholders = { campaign: 'camp_…', connection: 'conn_…' };

const variables = (values) => JSON.stringify(values, null, 2);

export const examples = [
  {
    query: `# Sign in. The token in the answer is used from then on, here and in
# subscriptions. Whoever has one already pastes it above instead.
mutation SignIn($email: String!, $password: String!) {
  signIn(input: { email: $email, password: $password }) {
    token
    expiresAt
    user { name role }
    userErrors { code message solutions }
  }
}
`,
    variables: variables({ email: 'you@example.com', password: '' }),
  },
  {
    query: `# A campaign is what agents are members of and what bots are connected to.
mutation CreateCampaign($name: String!) {
  createCampaign(input: { name: $name }) {
    campaign { id name viewerRole }
    userErrors { code message field solutions }
  }
}
`,
    variables: variables({ name: 'Shop' }),
  },
  {
    query: `# Make a bot with @BotFather and connect it by its token. The report says what
# was checked; userErrors say what to do about what failed.
mutation ConnectBot($campaignId: ID!, $botToken: String!) {
  connectTelegramBot(input: { campaignId: $campaignId, botToken: $botToken }) {
    connection {
      id
      name
      status
      webhook { delivery status }
    }
    report {
      passed
      checks { name outcome message }
    }
    userErrors { code message field causes solutions }
  }
}
`,
    variables: variables({ campaignId: placeholders.campaign, botToken: '123456789:AA…' }),
  },
  {
    query: `# The inbox: conversations with the newest message first. eventCursor is where the
# campaign's events were before: subscribe with after: eventCursor, and nothing is missed.
query Inbox($campaignId: ID!, $search: String) {
  campaign(id: $campaignId) {
    name
    eventCursor
    conversations(first: 20, filter: { status: [OPEN, PENDING], search: $search }) {
      totalCount
      edges {
        node {
          id
          title
          unreadCount
          contact { name language }
          lastMessage { text sentAt attachments { kind } }
        }
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`,
    variables: variables({ campaignId: placeholders.campaign, search: null }),
  },
  {
    query: `# Messages as customers write them, newest first. With after: the cursor of the last
# one seen (or eventCursor), what came in between is delivered first.
subscription LiveMessages($campaignId: ID!, $after: Cursor) {
  messageAdded(campaignId: $campaignId, after: $after) {
    cursor
    message {
      text
      contact { name language }
      attachments { kind name }
      conversation { id title unreadCount }
    }
  }
}
`,
    variables: variables({ campaignId: placeholders.campaign, after: null }),
  },
  {
    query: `# What the platform posted, as it came, and what became of it.
query WebhookLogs($connectionId: ID!, $status: WebhookLogStatus) {
  connection(id: $connectionId) {
    name
    webhook { delivery status lastReceivedAt totalReceived errorCount rejectedCount pendingCount }
    webhookLogs(first: 20, filter: { status: $status }) {
      totalCount
      edges {
        node {
          receivedAt
          eventType
          status
          attempts
          durationMs
          error
          payload
        }
      }
    }
  }
}
`,
    variables: variables({ connectionId: placeholders.connection, status: null }),
  },
];

// withIds puts the ids where placeholders stand and leaves everything else as it is.
export function withIds(text, ids) {
  return Object.entries(placeholders).reduce(
    (filled, [kind, placeholder]) => (ids[kind] ? filled?.replaceAll(`"${placeholder}"`, `"${ids[kind]}"`) : filled),
    text,
  );
}
